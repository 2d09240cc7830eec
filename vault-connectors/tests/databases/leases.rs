//! Leases at real servers: an account logs in while its lease holds and no longer, whatever ends when, and whatever its role is called.

use super::cut::{Cut, Duty, When};
use super::life::{Life, connector_to, life};
use super::subject::{Session as Client, asked, at_every_server, config, connected, connection, creation, shared};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_servers::{Kind, Server};
use vault_core::TokenOptions;
use vault_core::host::ConnectorFailure;
use vault_core::types::{Code, Error, Object, Operation, Response, Timestamp, Ttl, Value};

at_every_server!(
    a_credential_logs_in_until_its_lease_ends_and_a_renewal_moves_the_end,
    a_revoked_lease_is_denied_at_the_target_at_once,
    an_account_that_an_entity_shares_logs_in_until_the_last_of_its_leases_ends,
    leases_that_end_together_are_all_gone_with_the_ticks_that_tell_them,
    a_server_that_ends_in_the_middle_of_a_creation_leaves_no_account_that_nobody_knows,
    a_server_that_ends_in_the_middle_of_a_renewal_leaves_the_lease_and_its_account,
    a_server_that_ends_in_the_middle_of_a_revocation_loses_the_account_all_the_same,
    hostile_names_of_roles_and_callers_and_hostile_templates_are_never_statements
);

const HOUR: u64 = 3_600;
const DENIED: Result<(), ConnectorFailure> = Err(ConnectorFailure::Unauthenticated);

/// What was handed out.
struct Creds {
    username: String,
    password: String,
    lease: String,
}

impl Creds {
    fn of(response: Response) -> Self {
        let data = response.data.unwrap();
        let text = |name| data.get(name).and_then(Value::as_str).unwrap().to_owned();
        Creds { username: text("username"), password: text("password"), lease: response.lease_id }
    }
}

impl Life {
    fn lease_role(&self, kind: Kind, name: &str) {
        let role = Object::new().with("db_name", "db").with("creation_statements", creation(kind));
        self.write(&format!("database/roles/{name}"), role.with("default_ttl", "1h").with("max_ttl", "24h"));
    }

    fn lease(&self, role: &str) -> Result<Creds, Error> {
        self.root.request(Operation::Read, &format!("database/creds/{role}"), None).map(Creds::of)
    }

    fn renew(&self, lease: &str, seconds: u64) -> Result<(), Error> {
        let data = Object::new().with("lease_id", lease).with("increment", seconds);
        self.root.request(Operation::Write, "sys/leases/renew", Some(data.into())).map(drop)
    }

    fn revoke(&self, lease: &str) -> Result<(), Error> {
        let data = Object::new().with("lease_id", lease).with("sync", true);
        self.root.request(Operation::Write, "sys/leases/revoke", Some(data.into())).map(drop)
    }

    fn holds(&self, lease: &str) -> bool {
        let data = Object::new().with("lease_id", lease);
        self.root.request(Operation::Write, "sys/leases/lookup", Some(data.into())).is_ok()
    }

    /// How many leases there are of a kind.
    fn count(&self, kind: &str) -> u64 {
        let data = if kind.is_empty() { Object::new() } else { Object::new().with("type", kind) };
        let data = self.root.request(Operation::Read, "sys/leases/count", Some(data.into())).unwrap().data.unwrap();
        data.get("lease_count").and_then(Value::as_u64).unwrap()
    }
}

/// The accounts at a server whose names begin so.
fn accounts(kind: Kind, server: &Server, beginning: &str) -> BTreeSet<String> {
    let question = match kind {
        Kind::Postgres => vec!["SELECT rolname FROM pg_roles"],
        Kind::MariaDb => vec!["SELECT User FROM mysql.user"],
        Kind::Redis => vec!["ACL", "USERS"],
    };
    asked(kind, server, &question).lines().filter(|name| name.starts_with(beginning)).map(str::to_owned).collect()
}

/// When an account ends by the server itself, where it has that.
fn end_at(kind: Kind, server: &Server, name: &str) -> Option<Timestamp> {
    let question = format!("SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{name}'");
    (kind == Kind::Postgres).then(|| Timestamp::from_secs(asked(kind, server, &[&question]).parse().unwrap()))
}

fn a_credential_logs_in_until_its_lease_ends_and_a_renewal_moves_the_end(kind: Kind) {
    use vault_core::host::Clock;
    let (target, server) = (connected(kind), shared(kind));
    let life = life(connector_to(kind), config(kind, server));
    life.lease_role(kind, "ends");
    let one = life.lease("ends").unwrap();
    target.test(&one.username, &one.password).unwrap();
    assert_eq!(target.test(&one.username, "another"), DENIED);
    let first_end = end_at(kind, server, &one.username);
    let mut client = Client::open(kind, &one.username, &one.password);
    life.clock.advance(Ttl::from_secs(HOUR - 60));
    life.renew(&one.lease, 2 * HOUR).unwrap();
    if let Some(first_end) = first_end {
        let until = life.clock.now().plus(Ttl::from_secs(2 * HOUR)).as_secs();
        assert_eq!(end_at(kind, server, &one.username).map(Timestamp::as_secs), Some(until));
        assert_eq!(until - first_end.as_secs(), 2 * HOUR - 60);
    }
    life.clock.advance(Ttl::from_secs(2 * HOUR - 1));
    life.settle(0);
    target.test(&one.username, &one.password).unwrap();
    life.clock.advance(Ttl::from_secs(1));
    assert!(!life.holds(&one.lease), "before any tick");
    life.settle(0);
    assert_eq!(target.test(&one.username, &one.password), DENIED);
    assert!(client.is_cut_off());
    assert_eq!(life.renew(&one.lease, HOUR).unwrap_err().code(), Code::InvalidRequest);
    assert!(accounts(kind, server, "v-root-ends").is_empty());
    life.vault.verify().unwrap();
}

#[allow(clippy::print_stderr, reason = "it tells what it has measured")]
fn a_revoked_lease_is_denied_at_the_target_at_once(kind: Kind) {
    let target = connected(kind);
    let life = life(connector_to(kind), config(kind, shared(kind)));
    life.lease_role(kind, "revoked");
    let mut times = Vec::new();
    for _ in 0..10 {
        let one = life.lease("revoked").unwrap();
        target.test(&one.username, &one.password).unwrap();
        let since = Instant::now();
        life.revoke(&one.lease).unwrap();
        assert_eq!(target.test(&one.username, &one.password), DENIED);
        times.push(since.elapsed());
    }
    times.sort_unstable();
    eprintln!("{kind:?}: from a revocation to a login that is denied {:?} at the median, {:?} at most", times[5], times[9]);
    assert!(times[5] < Duration::from_secs(2), "{times:?}");
    // With its token it is denied with the next tick.
    let policy = r#"path "database/creds/*" { capabilities = ["read"] }"#;
    life.root.policies().write("creds", policy).unwrap();
    let options = TokenOptions { policies: vec!["creds".to_owned()], ..TokenOptions::default() };
    let caller = life.vault.session(life.root.tokens().create(options).unwrap().client_token);
    let one = Creds::of(caller.request(Operation::Read, "database/creds/revoked", None).unwrap());
    target.test(&one.username, &one.password).unwrap();
    caller.tokens().revoke_self().unwrap();
    life.vault.tick().unwrap();
    assert_eq!(target.test(&one.username, &one.password), DENIED);
}

fn an_account_that_an_entity_shares_logs_in_until_the_last_of_its_leases_ends(kind: Kind) {
    let (target, server) = (connected(kind), shared(kind));
    let life = life(connector_to(kind), config(kind, server));
    let role = Object::new().with("db_name", "db").with("creation_statements", creation(kind)).with("credential_sharing", "entity");
    life.write("database/roles/shared", role.with("default_ttl", "1h").with("max_ttl", "24h"));
    assert_eq!(life.lease("shared").err().map(|error| error.code()), Some(Code::EntityRequired));
    let everything = r#"path "*" { capabilities = ["read", "update"] }"#;
    life.root.policies().write("everything", everything).unwrap();
    life.write("identity/entity-alias", Object::new().with("name", "shop").with("mount_accessor", "auth_token"));
    life.write("auth/token/roles/replica", Object::new().with("allowed_entity_aliases", "shop").with("allowed_policies", "everything"));
    let replicas: Vec<_> = (0..8)
        .map(|_| {
            let asked = Object::new().with("entity_alias", "shop");
            let made = life.root.request(Operation::Write, "auth/token/create/replica", Some(asked.into())).unwrap();
            life.vault.session(made.auth.unwrap().client_token)
        })
        .collect();
    let given: Vec<Creds> = std::thread::scope(|scope| {
        let ask = |replica| Creds::of(vault_core::Session::request(replica, Operation::Read, "database/creds/shared", None).unwrap());
        let callers: Vec<_> = replicas.iter().map(|replica| scope.spawn(move || ask(replica))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let names: BTreeSet<_> = given.iter().map(|one| one.username.as_str()).collect();
    assert_eq!(names.len(), 1, "one user for all");
    for one in &given {
        target.test(&one.username, &one.password).unwrap();
        life.revoke(&one.lease).unwrap();
    }
    assert_eq!(target.test(&given[0].username, &given[0].password), DENIED);
    assert!(accounts(kind, server, &given[0].username).is_empty());
    life.vault.verify().unwrap();
}

#[allow(clippy::print_stderr, reason = "it tells what it has measured")]
fn leases_that_end_together_are_all_gone_with_the_ticks_that_tell_them(kind: Kind) {
    const LEASES: usize = 100;
    let server = shared(kind);
    let life = life(connector_to(kind), config(kind, server));
    life.lease_role(kind, "many");
    for _ in 0..LEASES {
        life.lease("many").unwrap();
    }
    assert_eq!(accounts(kind, server, "v-root-many").len(), LEASES);
    life.clock.advance(Ttl::from_secs(HOUR));
    let since = Instant::now();
    life.settle(0);
    eprintln!("{kind:?}: {LEASES} leases that ended together were told in {:?}", since.elapsed());
    assert!(accounts(kind, server, "v-root-many").is_empty());
    for of in ["", "due", "ending", "irrevocable", "pending"] {
        assert_eq!(life.count(of), 0, "{of}");
    }
}

/// A vault over a server of its own, which ends at the next call of a duty.
fn cut_life(kind: Kind) -> (Arc<Cut>, Life, Object) {
    let server = Server::start(kind).unwrap();
    let mut own = config(kind, &server).with("connect_timeout", "2s");
    if kind == Kind::Redis {
        own = own.with("persistence_mode", "ACLFILE");
    }
    let cut = Arc::new(Cut::new(connector_to(kind), server));
    let life = life(cut.clone(), own.clone());
    life.lease_role(kind, "cut");
    (cut, life, own)
}

fn a_server_that_ends_in_the_middle_of_a_creation_leaves_no_account_that_nobody_knows(kind: Kind) {
    let (cut, life, own) = cut_life(kind);
    for when in [When::Before, When::AnswerLost, When::Behind] {
        cut.plan(Duty::Create, when);
        let answer = life.lease("cut");
        assert!(cut.is_cut());
        assert_eq!(answer.is_ok(), when == When::Behind, "{when:?}");
        // While it is away the vault tries now and then, and is not harmed by it.
        life.settle(15);
        cut.start_again();
        // A call that was lost may still arrive: it is undone once more after a minute.
        life.settle(600);
        assert_eq!(life.count("pending"), 0, "{when:?}");
        let left = cut.with_server(|server| accounts(kind, server, "v-"));
        let handed_out: BTreeSet<String> = answer.iter().map(|one| one.username.clone()).collect();
        assert_eq!(left, handed_out, "{when:?}");
        if let Ok(one) = answer {
            connection(kind, own.clone()).test(&one.username, &one.password).unwrap();
            life.revoke(&one.lease).unwrap();
            assert_eq!(connection(kind, own.clone()).test(&one.username, &one.password), DENIED);
        }
        life.vault.verify().unwrap();
    }
}

fn a_server_that_ends_in_the_middle_of_a_renewal_leaves_the_lease_and_its_account(kind: Kind) {
    let (cut, life, own) = cut_life(kind);
    for when in [When::Before, When::AnswerLost, When::Behind] {
        let one = life.lease("cut").unwrap();
        let first_end = cut.with_server(|server| end_at(kind, server, &one.username));
        cut.plan(Duty::Renew, when);
        let answer = life.renew(&one.lease, 10 * HOUR);
        assert!(cut.is_cut());
        // Servers whose accounts have no end are asked nothing, and so do not matter.
        let is_renewed = answer.is_ok();
        assert_eq!(is_renewed, when == When::Behind || when == When::Before && kind != Kind::Postgres, "{when:?}: {answer:?}");
        life.settle(15);
        assert!(life.holds(&one.lease), "{when:?}");
        cut.start_again();
        life.settle(600);
        connection(kind, own.clone()).test(&one.username, &one.password).unwrap();
        let end = cut.with_server(|server| end_at(kind, server, &one.username));
        assert_eq!(end == first_end, !is_renewed || kind != Kind::Postgres, "{when:?}: an account outlasts its lease");
        life.clock.advance(Ttl::from_secs(10 * HOUR));
        life.settle(60);
        assert_eq!(connection(kind, own.clone()).test(&one.username, &one.password), DENIED, "{when:?}");
        life.vault.verify().unwrap();
    }
}

fn a_server_that_ends_in_the_middle_of_a_revocation_loses_the_account_all_the_same(kind: Kind) {
    let (cut, life, own) = cut_life(kind);
    for when in [When::Before, When::AnswerLost, When::Behind] {
        let one = life.lease("cut").unwrap();
        cut.plan(Duty::Revoke, when);
        let answer = life.revoke(&one.lease).map_err(|error| error.code());
        assert!(cut.is_cut());
        assert_eq!(answer, if when == When::Behind { Ok(()) } else { Err(Code::RevocationPending) }, "{when:?}");
        assert!(!life.holds(&one.lease), "{when:?}");
        life.settle(15);
        cut.start_again();
        life.settle(600);
        assert!(cut.with_server(|server| accounts(kind, server, "v-")).is_empty(), "{when:?}");
        assert_eq!(connection(kind, own.clone()).test(&one.username, &one.password), DENIED, "{when:?}");
        assert_eq!((life.count("ending"), life.count("irrevocable")), (0, 0), "{when:?}");
        life.vault.verify().unwrap();
    }
}

const HOSTILE: [&str; 12] = [
    "x'; DROP TABLE decoy; --",
    "x\"; DROP TABLE decoy; --",
    "x`; DROP TABLE decoy; #",
    "x\\'; DROP TABLE decoy; --",
    "$$; DROP TABLE decoy; $$",
    "{{name}}{{password}}{{expiration}}",
    "x'@'%' IDENTIFIED BY 'a'; DROP TABLE decoy; -- ",
    "x allkeys +@all nopass >a",
    "%41%s%n",
    "äöü 漢字 \u{1f511} \u{2019}; DROP TABLE decoy",
    "-- /* */",
    "*",
];

fn hostile_names_of_roles_and_callers_and_hostile_templates_are_never_statements(kind: Kind) {
    let (target, server) = (connected(kind), shared(kind));
    let life = life(connector_to(kind), config(kind, server));
    let (make, look): (&[&str], &[&str]) = match kind {
        Kind::Postgres => (&["CREATE TABLE IF NOT EXISTS decoy (a int)"], &["SELECT count(*) FROM decoy"]),
        Kind::MariaDb => (&["CREATE TABLE IF NOT EXISTS app.decoy (a int)"], &["SELECT count(*) FROM app.decoy"]),
        Kind::Redis => (&["SET", "decoy", "0"], &["GET", "decoy"]),
    };
    asked(kind, server, make);
    let before = accounts(kind, server, "");
    let (mut made, mut refused) = (0, 0);
    let mut ask = |session: &vault_core::Session, role: &str| {
        match session.request(Operation::Read, &format!("database/creds/{role}"), None) {
            Ok(response) => {
                let one = Creds::of(response);
                assert!(one.username.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{}", one.username);
                target.test(&one.username, &one.password).unwrap();
                life.revoke(&one.lease).unwrap();
                assert_eq!(target.test(&one.username, &one.password), DENIED);
                made += 1;
            }
            Err(error) => {
                assert!(matches!(error.code(), Code::InvalidPath | Code::InvalidRequest | Code::TargetRefused), "{role}: {error}");
                refused += 1;
            }
        }
        assert_eq!(asked(kind, server, look), "0", "{role}");
    };
    for name in HOSTILE {
        let data = Object::new().with("db_name", "db").with("creation_statements", creation(kind));
        if life.root.request(Operation::Write, &format!("database/roles/{name}"), Some(data.into())).is_ok() {
            ask(&life.root, name);
        }
    }
    life.lease_role(kind, "plain");
    let policy = r#"path "database/creds/*" { capabilities = ["read"] }"#;
    life.root.policies().write("creds", policy).unwrap();
    for name in HOSTILE {
        let options = TokenOptions { policies: vec!["creds".to_owned()], display_name: Some(name.to_owned()), ..TokenOptions::default() };
        let caller = life.vault.session(life.root.tokens().create(options).unwrap().client_token);
        ask(&caller, "plain");
        let template = Object::new().with("username_template", format!("{}{{{{random 20}}}}", name.replace("{{", "{ {")));
        life.write("database/config/db", template);
        ask(&life.root, "plain");
        let template = "{{.RoleName | truncate 10}}{{.DisplayName | truncate 10}}{{random 20}}{{printf \"%s'\" .RoleName}}";
        life.write("database/config/db", Object::new().with("username_template", template));
        ask(&caller, "plain");
    }
    assert!(made >= 3 * HOSTILE.len() && refused == 0, "{made} were made, {refused} refused");
    assert_eq!(accounts(kind, server, "").difference(&before).filter(|name| name.contains("plain")).count(), 0);
}
