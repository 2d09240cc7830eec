//! A web service that reads its secret with each request, so that a new password counts at once and a revoked token ends it; and its client.
//!
//! `cargo run --example worker`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example is a host: it has threads and sockets"
)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use tiny_http::{Request, Response, Server};
use vault_core::types::{Class, Object, Ttl, Value};
use vault_core::{Session, TokenOptions, Vault};

const THREADS: usize = 4;
const POLICY: &str = r#"path "secret/data/app/db" { capabilities = ["read"] }"#;

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    root.kv("secret").put("app/db", Object::new().with("password", "first"))?;
    root.policies().write("app", POLICY)?;
    let options = TokenOptions { policies: vec!["app".to_owned()], ttl: Some(Ttl::from_secs(8 * 3600)), ..TokenOptions::default() };
    let token = root.tokens().create(options)?;
    let accessor = token.accessor.clone();
    let session = vault.session(token.client_token);

    let server = Arc::new(Server::http("127.0.0.1:0").map_err(|error| error.to_string())?);
    let address = server.server_addr().to_ip().ok_or("no address")?;
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            // One session serves all threads.
            let (server, session) = (Arc::clone(&server), session.clone());
            thread::spawn(move || server.incoming_requests().try_for_each(|request| serve(&session, request)))
        })
        .collect();

    println!("{}", get(address)?);
    root.kv("secret").put("app/db", Object::new().with("password", "second"))?;
    println!("after the change: {}", get(address)?);
    root.tokens().revoke_accessor(&accessor)?;
    println!("after the revocation: {}", get(address)?);

    // A service calls this about once a second, or when it asks for it: it ends leases and writes the audit log.
    vault.tick()?;
    threads.iter().for_each(|_| server.unblock());
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(vault.close()?)
}

/// Answers one request: the secret is read, used and wiped; nothing of it is kept.
fn serve(session: &Session, request: Request) -> std::io::Result<()> {
    let (status, text) = match session.kv("secret").get("app/db") {
        Ok(secret) => {
            let length = secret.data.get("password").and_then(Value::as_str).map_or(0, str::len);
            (200, format!("logged in with version {}, {length} characters", secret.version.version))
        }
        // What the vault says may be shown: it holds no secret, no token and no path.
        Err(error) if error.class() == Class::PermissionDenied => (503, format!("not served: {error}")),
        Err(error) => (500, error.to_string()),
    };
    request.respond(Response::from_string(text).with_status_code(status))
}

/// Asks the service once; its status and its answer.
fn get(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).ok_or("no status")?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(format!("{status} {}", body.trim_end()))
}
