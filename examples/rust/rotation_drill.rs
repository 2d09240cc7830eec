//! A rotation drill: a password in use by a live pool is replaced, on schedule and by hand, while its server is slow, loses answers, goes away
//! and refuses, and the process ends in the middle. Prints the timeline as the vault's own audit log tells it.
//!
//! `cargo run --example rotation_drill`

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use vault_core::host::{Account, Clock, Connector, ConnectorError, ConnectorFailure, ManualClock, NewAccount, Target};
use vault_core::types::{Error, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];
const ADMIN: &str = "vault-admin";
/// 2026-11-23T18:00:00Z.
const EVENING: u64 = 1_795_456_800;

/// What goes wrong with the next call.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// It is done, and the answer is lost on its way.
    AnswerLost,
    /// Nobody answers.
    Away,
    /// The server answers no.
    Refuses,
}

/// A database server in miniature: accounts, and trouble.
#[derive(Default)]
struct Shop {
    accounts: Mutex<BTreeMap<String, String>>,
    trouble: Mutex<Vec<Trouble>>,
}

impl Shop {
    fn accounts<T>(&self, work: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        work(&mut self.accounts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn expect(&self, trouble: &[Trouble]) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble.iter().rev().copied().collect();
    }

    fn logs_in(&self, name: &str, password: &str) -> bool {
        self.accounts(|accounts| accounts.get(name).is_some_and(|right| right == password))
    }

    fn call(&self, work: impl FnOnce() -> Result<(), ConnectorError>) -> Result<(), ConnectorError> {
        let failed = |failure, text: &str| Err(ConnectorError::new(failure, text));
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match trouble {
            None => work(),
            Some(Trouble::AnswerLost) => work().and(failed(ConnectorFailure::Unknown, "the answer did not come in time")),
            Some(Trouble::Away) => failed(ConnectorFailure::Unreachable, "connection refused"),
            Some(Trouble::Refuses) => failed(ConnectorFailure::Refused, "permission denied to alter role"),
        }
    }
}

impl Connector for Shop {
    fn name(&self) -> &str {
        "shop"
    }

    fn check(&self, target: &Target<'_>, _verify: bool) -> Result<(), ConnectorError> {
        self.test(target, target.username, target.password)
    }

    fn create(&self, _: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        self.accounts(|accounts| accounts.insert(new.account.username.to_owned(), new.password.expose().to_owned()));
        Ok(())
    }

    fn renew(&self, _: &Target<'_>, _: &Account<'_>, _: Timestamp) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn revoke(&self, _: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        self.accounts(|accounts| accounts.remove(account.username));
        Ok(())
    }

    fn set_password(&self, _: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        self.call(|| {
            self.accounts(|accounts| accounts.insert(account.username.to_owned(), password.expose().to_owned()));
            Ok(())
        })
    }

    fn test(&self, _: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        self.call(|| match self.logs_in(username, password.expose()) {
            true => Ok(()),
            false => Err(ConnectorError::new(ConnectorFailure::Unauthenticated, "password authentication failed")),
        })
    }

    fn forget(&self, _: &[u8; 16]) {}
}

/// An application that keeps what it has read for a while.
#[derive(Default)]
struct Pool {
    held: Option<(String, String)>,
    logins: u32,
    refused: u32,
}

impl Pool {
    fn read(&mut self, root: &Session) -> Result<(), Error> {
        let creds = root.rotation().creds("database", "app")?;
        self.held = Some((creds.username, creds.password.expose().to_owned()));
        Ok(())
    }

    fn work(&mut self, shop: &Shop) {
        let Some((name, password)) = &self.held else { return };
        self.logins += 1;
        self.refused += u32::from(!shop.logs_in(name, password));
    }
}

struct Drill {
    shop: Arc<Shop>,
    clock: Arc<ManualClock>,
    place: std::path::PathBuf,
    pool: Pool,
    printed: u64,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let place = tempfile::tempdir()?;
    let shop = Arc::new(Shop::default());
    shop.accounts(|accounts| accounts.extend([ADMIN, "app-a", "app-b"].map(|name| (name.to_owned(), "first".to_owned()))));
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(EVENING)));
    let mut drill = Drill { shop, clock, place: place.path().join("vault"), pool: Pool::default(), printed: 0 };

    let (vault, init) = Vault::create(drill.config(&drill.place), NewSeal::raw_key(&KEY)?)?;
    let token = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    drill.enrol(&root)?;
    drill.rehearse(&root)?;
    drill.on_schedule(&vault, &root)?;
    drill.shop.expect(&[Trouble::AnswerLost]);
    drill.say("An operator wants another one. The answer of the server is lost, and then the process ends.");
    let answer = root.rotation().rotate("database", "app").err().map(|error| error.to_string()).unwrap_or_default();
    drill.tell(&root)?;
    drill.note(&answer);
    drop((root, vault));
    let vault = Vault::open(drill.config(&drill.place))?.unseal(&UnsealKey::raw_key(&KEY)?)?;
    let root = vault.session(SecretString::copy_from(&token));
    drill.after_the_crash(&vault, &root)?;
    drill.stuck(&vault, &root)?;
    drill.finish(&vault, &root)
}

impl Drill {
    fn config(&self, place: &Path) -> Config {
        Config::at(place).with_clock(self.clock.clone()).with_connector(self.shop.clone())
    }

    fn enrol(&mut self, root: &Session) -> Outcome<()> {
        self.say("Two accounts, app-a and app-b, are given to the vault: one is in use, and the other one is the next.");
        let write = |path: &str, data: Object| root.request(Operation::Write, path, Some(data.into()));
        write("sys/mounts/database", Object::new().with("type", "database"))?;
        let connection = Object::new().with("plugin_name", "shop").with("username", ADMIN).with("password", "first");
        write(
            "database/config/shop",
            connection.with("allowed_roles", "app").with("connection_url", "shop://{{username}}:{{password}}@db"),
        )?;
        let role = Object::new().with("db_name", "shop").with("usernames", vec!["app-a", "app-b"]);
        write(
            "database/static-roles/app",
            role.with("rotation_schedule", "0 2 * * *").with("rotation_zone", "Europe/Berlin").with("grace", "1h"),
        )?;
        self.pool.read(root)?;
        self.tell(root)
    }

    fn rehearse(&mut self, root: &Session) -> Outcome<()> {
        self.say("Would a rotation work? A rehearsal goes all the way, promotes nothing, and cleans up.");
        let report = root.rotation().rehearse("database", "app")?;
        let steps: Vec<String> = report.steps.iter().map(|(asked, _)| asked.clone()).collect();
        self.tell(root)?;
        self.note(&format!("would work: {} ({})", report.would_work, steps.join(", ")));
        Ok(())
    }

    fn on_schedule(&mut self, vault: &Vault, root: &Session) -> Outcome<()> {
        self.say("At 02:00 in Berlin it is due. The pool goes on with what it holds: the old account works through its grace.");
        self.sleep(vault, 7 * 3600 + 1800)?;
        self.tell(root)?;
        self.pool.read(root)?;
        self.note("the pool reads the new credential, in its own time");
        self.sleep(vault, 2 * 3600)?;
        self.tell(root)
    }

    fn after_the_crash(&mut self, vault: &Vault, root: &Session) -> Outcome<()> {
        self.say("The vault is opened anew. It knows that something was asked, and finds out what the server has.");
        self.sleep(vault, 300)?;
        self.tell(root)?;
        self.pool.read(root)?;
        self.sleep(vault, 2 * 3600)?;
        self.tell(root)
    }

    fn stuck(&mut self, vault: &Vault, root: &Session) -> Outcome<()> {
        self.say("Somebody took the right to alter roles from the vault's account. The next rotation cannot go on.");
        self.shop.expect(&[vec![Trouble::Away], vec![Trouble::Refuses; 11]].concat());
        let _pending = root.rotation().rotate("database", "app");
        self.sleep(vault, 2 * 3600)?;
        self.tell(root)?;
        let status = root.rotation().status("database", "app")?;
        self.note(&format!("needs attention: {}", status.what_to_do.unwrap_or_default()));
        self.note("the right is given back, and the operator retries");
        root.rotation().retry("database", "app")?;
        self.tell(root)?;
        self.say("The new account turns out to lack a grant: back to the old one, which still works.");
        root.rotation().roll_back("database", "app")?;
        self.tell(root)?;
        self.pool.read(root)?;
        self.sleep(vault, 2 * 3600)?;
        self.tell(root)
    }

    fn finish(&mut self, vault: &Vault, root: &Session) -> Outcome<()> {
        vault.verify()?;
        let creds = root.rotation().creds("database", "app")?;
        let works = self.shop.logs_in(&creds.username, creds.password.expose());
        let Pool { logins, refused, .. } = self.pool;
        self.say(&format!("Now in use: {} with its password number {}. It works: {works}.", creds.username, creds.version));
        print(&format!("The pool has logged in {logins} times, and was refused {refused} times.\n"));
        if works && refused == 0 { Ok(()) } else { Err("somebody was locked out".into()) }
    }

    /// Lets time pass, a minute at a time, with the pool at work and the vault ticking.
    fn sleep(&mut self, vault: &Vault, seconds: u64) -> Outcome<()> {
        for _ in 0..seconds / 60 {
            self.clock.advance(Ttl::from_secs(60));
            vault.tick()?;
            self.pool.work(&self.shop);
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        print(&format!("\n{text}\n"));
    }

    fn note(&self, text: &str) {
        print(&format!("    {}  · {text}\n", time_of(&self.clock.now().to_string())));
    }

    /// What the audit log has told of the rotation since the last time.
    fn tell(&mut self, root: &Session) -> Outcome<()> {
        let data = Object::new().with("after", self.printed).with("limit", 1_000_u64);
        let told = root.request(Operation::Read, "sys/audit-log/events", Some(data.into()))?.data.unwrap_or(Value::Null);
        for event in told.get("events").and_then(Value::as_array).unwrap_or_default() {
            self.printed = event.get("sequence").and_then(Value::as_u64).unwrap_or(self.printed);
            let text = |name| event.get(name).and_then(Value::as_str);
            let (Some(input), Some(phase)) = (text("rotation_input"), text("rotation_phase")) else { continue };
            let sign = match (text("operation"), event.get("version").and_then(Value::as_u64), text("target_error")) {
                (Some("rotation-needs-attention"), ..) => "✗",
                (_, Some(_), _) => "✓",
                (_, _, Some(_)) => "!",
                _ => "→",
            };
            let asks = text("rotation_ask").map(|ask| format!(", asks: {ask}")).unwrap_or_default();
            let version = event.get("version").and_then(Value::as_u64).map(|version| format!(", in use: password {version}"));
            let time = time_of(text("time").unwrap_or_default());
            print(&format!("    {time}  {sign} {input:<16} {phase}{asks}{}\n", version.unwrap_or_default()));
        }
        Ok(())
    }
}

/// The day and the time of an instant.
fn time_of(instant: &str) -> String {
    let (day, time) = instant.split_once('T').unwrap_or((instant, ""));
    format!("{} {}", day.get(8..).unwrap_or_default(), time.get(..8).unwrap_or_default())
}

#[allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]
fn print(text: &str) {
    print!("{text}");
}
