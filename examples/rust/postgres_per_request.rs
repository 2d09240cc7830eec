//! A service that logs in at PostgreSQL with an account of its own for each request: made for it, gone after it, and gone by itself when the
//! request dies.
//!
//! `cargo run --example postgres_per_request` at the server that `PGHOST`, `PGPORT`, `PGDATABASE`, `PGUSER` and `PGPASSWORD` name, as for psql;
//! or at one that is started for it: `cargo run -p test-servers -- postgres cargo run --example postgres_per_request`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

mod shop;

use shop::{Outcome, Shop, is_refusal, log_in};
use std::thread::sleep;
use std::time::{Duration, Instant};
use vault_core::types::{Object, Operation, Response, Ttl, Value};
use vault_core::{Session, TokenOptions};

const POLICY: &str = r#"
    path "database/creds/orders" { capabilities = ["read"] }
    path "sys/leases/*" { capabilities = ["update"] }"#;
const QUERY: &str = "SELECT count(*), sum(cents) FROM libvault_shop.orders";

fn main() -> Outcome<()> {
    let mut shop = Shop::open()?;
    let role = Object::new().with("db_name", "shop").with("default_ttl", "1m").with("max_ttl", "5m");
    let statements = vec![
        r#"CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"#,
        r#"GRANT USAGE ON SCHEMA libvault_shop TO "{{name}}""#,
        r#"GRANT SELECT ON libvault_shop.orders TO "{{name}}""#,
    ];
    shop.write("database/roles/orders", role.with("creation_statements", statements))?;
    shop.root.policies().write("service", POLICY)?;
    let options = TokenOptions { policies: vec!["service".to_owned()], display_name: Some("shop".to_owned()), ..TokenOptions::default() };
    let service = shop.vault.session(shop.root.tokens().create(options)?.client_token);

    for number in 1..=3 {
        serve(&service, number)?;
    }
    die(&shop, &service)?;
    let left: i64 = shop.admin.query_one("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%-orders-%'", &[])?.get(0);
    println!("accounts of the service left at the server: {left}");
    shop.close()?;
    if left == 0 { Ok(()) } else { Err("an account was left".into()) }
}

/// An account, with the lease that holds it.
struct Account {
    lease_id: String,
    username: String,
    password: String,
}

/// Has an account made.
fn account(service: &Session) -> Outcome<Account> {
    let Response { lease_id, data, .. } = service.request(Operation::Read, "database/creds/orders", None)?;
    let text = |name| data.as_ref().and_then(|data| data.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Account { lease_id, username: text("username"), password: text("password") })
}

/// One request, from its account to the end of it.
fn serve(service: &Session, number: u32) -> Outcome<()> {
    let began = Instant::now();
    let Account { lease_id, username, password } = account(service)?;
    let lease = service.leases().lookup(&lease_id)?;
    println!("request {number} is {username}");
    println!("    lease     from {} to {}, {} s", time_of(&lease.issue_time), time_of(&lease.expire_time), lease.ttl.as_secs());

    let mut client = log_in(&username, &password)?;
    let row = client.query_one(QUERY, &[])?;
    let (orders, cents): (i64, i64) = (row.get(0), row.get(1));
    println!("    answer    {orders} orders, {}.{:02} in all", cents / 100, cents % 100);
    let refused = client.execute("DELETE FROM libvault_shop.orders", &[]).expect_err("it may only read");
    println!("    a DELETE  {}", refused.as_db_error().map_or("", |error| error.message()));
    drop(client);

    // With `sync` the account is gone when this returns; without, the next tick removes it.
    service.leases().revoke(&lease_id, true)?;
    println!("    given back after {} ms; a login then: {}", began.elapsed().as_millis(), login(&username, &password)?);
    Ok(())
}

/// A request that ends in the middle: nobody gives its account back, and the lease's time ends it.
fn die(shop: &Shop, service: &Session) -> Outcome<()> {
    let Account { lease_id, username, password } = account(service)?;
    let mut hung = log_in(&username, &password)?;
    let ttl = service.leases().renew(&lease_id, Some(Ttl::from_secs(1)))?;
    println!("request 4 is {username}\n    lease     {} s are enough, it says; then it hangs", ttl.as_secs());
    let began = Instant::now();
    while hung.query_one(QUERY, &[]).is_ok() {
        if began.elapsed() > Duration::from_secs(30) {
            return Err("the connection outlived its lease".into());
        }
        // A service calls this about once a second, or when it asks for it.
        shop.vault.tick()?;
        sleep(Duration::from_millis(50));
    }
    println!("    cut off after {} ms by a tick; a login then: {}", began.elapsed().as_millis(), login(&username, &password)?);
    Ok(())
}

/// What a login is answered, which is to be no.
fn login(username: &str, password: &str) -> Outcome<&'static str> {
    match log_in(username, password) {
        Err(error) if is_refusal(&error) => Ok("refused"),
        Err(error) => Err(error.into()),
        Ok(_) => Err("the account works after its end".into()),
    }
}

/// The time of day of an instant.
fn time_of(instant: &str) -> &str {
    instant.get(11..19).unwrap_or(instant)
}
