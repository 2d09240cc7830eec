//! What was measured on: processor, memory, file system, system, compiler, versions.

use std::process::Command;

/// The date.
pub fn date() -> String {
    let format = time::format_description::parse_borrowed::<2>("[year]-[month]-[day]").expect("a format");
    time::OffsetDateTime::now_utc().format(&format).expect("a date")
}

/// How many threads waited for a core over the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The machine and the versions, as a table.
pub fn table() -> String {
    let mut rows =
        vec![("processor".to_owned(), processor()), ("memory".to_owned(), memory()), ("system".to_owned(), said("uname", &["-sr"]))];
    rows.push(("file system".to_owned(), said("stat", &["-f", "-c", "%T", &std::env::temp_dir().to_string_lossy()])));
    rows.push(("compiler".to_owned(), said("rustc", &["--version"])));
    rows.extend(versions());
    let rows: String = rows.into_iter().map(|(what, is)| format!("| {what} | {is} |\n")).collect();
    format!("| | |\n| --- | --- |\n{rows}")
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    let has = |flag: &str| text.lines().any(|line| line.starts_with("flags") && line.split(' ').any(|found| found == flag));
    let flags: Vec<&str> = ["aes", "vaes", "sha_ni"].into_iter().filter(|flag| has(flag)).collect();
    format!("{}, {cores} cores, {}", model.map_or("unknown", |(_, name)| name), flags.join(" "))
}

fn memory() -> String {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = text.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    format!("{} GiB", kib.div_ceil(1 << 20))
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_else(|_| "unknown".to_owned())
}

/// The versions of what is compared, as the lock file has them.
fn versions() -> Vec<(String, String)> {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let after = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
        Some(after.split_once('"')?.0.to_owned())
    };
    let names = ["vault-core", "sled", "redb", "aes-gcm-siv", "ring"];
    let rows =
        |names: &[&str]| -> Vec<(String, String)> { names.iter().filter_map(|name| Some(((*name).to_owned(), version(name)?))).collect() };
    #[allow(unused_mut, reason = "there are more rows with peers")]
    let mut versions = rows(&names);
    #[cfg(feature = "peers")]
    {
        versions.extend(rows(&["cedar-policy", "casbin", "rusqlite"]));
        versions.push(("SQLCipher".to_owned(), crate::peers::sqlcipher::SqlCipher::version()));
    }
    #[cfg(feature = "rusty-vault")]
    versions.extend(rows(&["rusty_vault"]));
    versions
}
