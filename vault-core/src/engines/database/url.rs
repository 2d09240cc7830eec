//! Passwords in a connection's URL: `user:password@`, `password=...` among words or after `?`, in whichever form drivers take it.

/// What the name of a parameter has whose value is a secret.
const SECRET: [&str; 6] = ["pass", "pwd", "secret", "token", "credential", "private"];

/// What stands for the password that is handed over beside the URL.
const TEMPLATE: &str = "{{password}}";

/// Whether a URL, a DSN as Go's drivers take it, or words with values have a password that is none of the template's.
pub(super) fn holds_password(url: &str) -> bool {
    // Twice, since a driver may decode what another program has encoded twice.
    let decoded = decode(&decode(url));
    [url, &decoded].into_iter().any(|url| before_at(url) || among_words(url))
}

/// `user:password@`: all that is behind the first colon of the part before the last `@`.
fn before_at(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((user, _)) = rest.rsplit_once('@') else { return false };
    user.split_once(':').is_some_and(|(_, password)| !password.is_empty() && password != TEMPLATE)
}

/// `name=value` or `name: value`, with spaces or not, behind `?`, `&`, `;`, a comma or a space.
fn among_words(url: &str) -> bool {
    let mut rest = url;
    while let Some(at) = rest.find('=') {
        let (before, value) = (&rest[..at], &rest[at + 1..]);
        let name = before.trim_end().rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).next().unwrap_or_default();
        let name = name.to_lowercase();
        let value = value.trim_start().trim_start_matches(['\'', '"']);
        let ends = |value: &str| value.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '&' | ';' | ',' | '\'' | '"' | '#'));
        let is_template = value.strip_prefix(TEMPLATE).is_some_and(ends);
        // `allowCleartextPasswords=true` and its like say whether, not which.
        let names_one = SECRET.iter().any(|part| name.contains(part)) && !name.starts_with("allow");
        if names_one && !is_template && !ends(value) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// `%61` as what it stands for; what is no such escape stays.
fn decode(url: &str) -> String {
    let bytes = url.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|digits| hex::decode(digits).ok());
        match escaped.as_deref() {
            Some([byte]) => {
                out.push(*byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_leaves_the_password_to_the_vault_holds_none() {
        for url in [
            "postgresql://{{username}}:{{password}}@h:5432/d?sslmode=verify-full",
            "postgresql://h/d",
            "postgresql://user@h/d?user=a",
            "postgresql://h/d?user={{username}}&password={{password}}&sslmode=disable",
            "{{username}}:{{password}}@tcp(h:3306)/?tls=true",
            "host=h port=5432 user={{username}} password={{password}} dbname=d",
            "host=h password='{{password}}' dbname=d",
            "host=h password=",
            "tcp(h:3306)/d?allowCleartextPasswords=true",
            "h:1",
            "fake://{{username}}:{{password}}@host/db",
            "redis://h:6379",
            "",
        ] {
            assert!(!holds_password(url), "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_found_in_whichever_form() {
        for url in [
            "postgresql://a:b@h/d",
            "a:b@tcp(h)/",
            "postgresql://{{username}}:x{{password}}@h",
            "redis://:p@h",
            "postgresql://h/d?password=p",
            "postgresql://h/d?sslmode=require&password=p",
            "postgresql://h/d?pass%77ord=p",
            "postgresql://h/d?pass%2577ord=p",
            "postgresql://a%3Ab%40h/d",
            "host=h user=a password=p",
            "host=h user=a password = p",
            "host=h user=a PASSWORD='p q'",
            "host=h password={{password}}x",
            "host=h password={{password}} sslpassword=p",
            "jdbc:sqlserver://h;user=a;Password=p",
            "Server=h;Uid=a;Pwd=p",
            "mysql://h/d?allow=1&passwd=p",
            "redis://h?auth_token=p",
            "host=h password=\tp",
        ] {
            assert!(holds_password(url), "{url}");
        }
    }
}
