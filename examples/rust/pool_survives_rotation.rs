//! A connection pool whose password is rotated under it, again and again, at a real PostgreSQL: no query fails and no login is refused.
//!
//! The vault has two accounts in turn (docs/rotation.md): the old one works on through a grace while the pool moves to the new one, which a live
//! secret tells it of (docs/live-secrets.md).
//!
//! `cargo run --example pool_survives_rotation` at the server that `PGHOST`, `PGPORT`, `PGDATABASE`, `PGUSER` and `PGPASSWORD` name, as for
//! psql; or at one that is started for it: `cargo run -p test-servers -- postgres cargo run --example pool_survives_rotation`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

mod shop;

use postgres::Client;
use shop::{Outcome, Shop, is_refusal, log_in};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use vault_core::types::Object;
use vault_core::{LiveSecret, TokenOptions};

const WORKERS: usize = 4;
const ROTATIONS: usize = 3;
/// Pools let connections go after a while, so that there are logins at any time.
const USES_MAX: u32 = 20;
const QUERY: &str = "SELECT sum(cents) FROM libvault_shop.orders";
const POLICY: &str = r#"path "database/static-creds/pool" { capabilities = ["read"] }"#;

/// A connection, with the number of the password that it was opened with.
struct Connection {
    client: Client,
    password: Option<u64>,
    uses: u32,
}

/// A pool that asks a live secret for its account. A real one is bounded too; this one has as many connections as are used at one time.
struct Pool {
    account: LiveSecret,
    idle: Mutex<Vec<Connection>>,
    told: AtomicU64,
    queries: AtomicU64,
    failed: AtomicU64,
    logins: AtomicU64,
    refused: AtomicU64,
    began: Instant,
}

impl Pool {
    /// Does a query on a connection that was opened with the password as it is now.
    fn query(&self) -> Outcome<i64> {
        // Costs nanoseconds while nothing has changed: the store is not asked.
        let current = self.account.get()?.version();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) if connection.password == current && connection.uses < USES_MAX => connection,
            _ => self.open()?,
        };
        connection.uses += 1;
        let sum = connection.client.query_one(QUERY, &[])?.get(0);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(sum)
    }

    /// A refusal is tried once more with what a fresh read gives: it may have been rotated between the read and the login.
    fn open(&self) -> Outcome<Connection> {
        self.account
            .with_retry(
                |account| {
                    let username = account.text("username").unwrap_or_default();
                    let client = log_in(username, account.text("password").unwrap_or_default());
                    self.logins.fetch_add(1, SeqCst);
                    self.refused.fetch_add(u64::from(client.as_ref().is_err_and(is_refusal)), SeqCst);
                    let version = account.version().unwrap_or_default();
                    if client.is_ok() && self.told.fetch_max(version, SeqCst) < version {
                        self.say("pool", &format!("first connection as {username} with password {version}"));
                    }
                    Ok(Connection { client: client?, password: account.version(), uses: 0 })
                },
                is_refusal,
            )
            .map_err(|error| error.to_string().into())
    }

    /// Queries until it is over.
    fn work(&self, is_over: &AtomicBool) {
        while !is_over.load(SeqCst) {
            self.queries.fetch_add(1, SeqCst);
            if let Err(error) = self.query() {
                self.failed.fetch_add(1, SeqCst);
                self.say("pool", &format!("A QUERY FAILED: {error}"));
            }
            sleep(Duration::from_millis(2));
        }
    }

    fn say(&self, who: &str, what: &str) {
        println!("{:>7.3} s  {who:<6} {what}", self.began.elapsed().as_secs_f64());
    }

    fn tell(&self) {
        let [queries, failed, logins, refused] =
            [&self.queries, &self.failed, &self.logins, &self.refused].map(|number| number.load(SeqCst));
        self.say("pool", &format!("{queries} queries, {failed} failed; {logins} logins, {refused} refused"));
    }
}

fn main() -> Outcome<()> {
    let shop = Shop::open()?;
    let role = Object::new().with("db_name", "shop").with("usernames", vec!["libvault_shop_a", "libvault_shop_b"]);
    // The clock rotates once a day; here somebody else does, so that nobody has to wait.
    shop.write("database/static-roles/pool", role.with("rotation_period", "24h").with("grace", "1h"))?;
    shop.root.policies().write("pool", POLICY)?;
    let token = shop.root.tokens().create(TokenOptions { policies: vec!["pool".to_owned()], ..TokenOptions::default() })?;
    let account = shop.vault.session(token.client_token).live("database/static-creds/pool")?;
    let zero = || AtomicU64::new(0);
    let (idle, began) = (Mutex::default(), Instant::now());
    let pool = Pool { account, idle, told: zero(), queries: zero(), failed: zero(), logins: zero(), refused: zero(), began };

    let is_over = AtomicBool::new(false);
    scope(|threads| {
        for _ in 0..WORKERS {
            threads.spawn(|| pool.work(&is_over));
        }
        let rotated = rotate(&shop, &pool);
        is_over.store(true, SeqCst);
        rotated
    })?;
    let lost = pool.failed.load(SeqCst) + pool.refused.load(SeqCst);
    drop(pool);
    shop.close()?;
    if lost == 0 { Ok(()) } else { Err("the pool noticed the rotations".into()) }
}

/// Replaces the password while the pool works, and closes the old account once the pool had time to leave it.
fn rotate(shop: &Shop, pool: &Pool) -> Outcome<()> {
    let rotation = shop.root.rotation();
    sleep(Duration::from_millis(300));
    for _ in 0..ROTATIONS {
        pool.tell();
        let old = rotation.creds("database", "pool")?;
        rotation.rotate("database", "pool")?;
        let new = rotation.creds("database", "pool")?;
        let (from, to) = (&old.username, &new.username);
        pool.say("vault", &format!("rotated: {to}, password {}; {from} works on through its grace", new.version));
        if !works(&old) {
            return Err("the old password ended before its grace".into());
        }
        sleep(Duration::from_millis(300));
        rotation.end_grace("database", "pool")?;
        if works(&old) {
            return Err("an old password works after its grace".into());
        }
        pool.say("vault", &format!("the grace is over: {from} with password {} is refused", old.version));
        sleep(Duration::from_millis(200));
    }
    pool.tell();
    Ok(())
}

fn works(account: &vault_core::StaticCreds) -> bool {
    log_in(&account.username, account.password.expose()).is_ok()
}
