//! What is made of a server's packets, whether they make sense or not; and that a password is not told to whoever asks.

use super::*;
use crate::target::{Address, Limits};
use std::net::{TcpListener, TcpStream};
use std::thread;
use vault_core::host::ConnectorFailure;

const GREETING: [&[u8]; 8] = [
    &[10],
    b"8.0.36\0",
    &[1, 0, 0, 0],
    b"12345678\0",
    &[0xff, 0xff, 45, 2, 0, 0xff, 0xff, 21],
    &[0; 10],
    b"abcdefghijkl\0",
    b"caching_sha2_password\0",
];

#[test]
fn nonsense_of_a_server_is_no_panic() {
    let greeting = GREETING.concat();
    let read = Greeting::read(&greeting).expect("it is whole");
    assert_eq!(
        (read.nonce.as_slice(), read.plugin.as_str(), read.is_mariadb),
        (&b"12345678abcdefghijkl"[..], "caching_sha2_password", false)
    );
    for end in 0..greeting.len() - 22 {
        assert!(Greeting::read(&greeting[..end]).is_none(), "{end}");
    }
    assert_eq!(row(&[1, b'a', 0xfb, 0]), Some(vec![Some("a".to_owned()), None, Some(String::new())]));
    for packet in [&[5, b'a'][..], &[0xfc, 1], &[0xfd, 0, 0, 0], &[0xff], &[1, 0xff]] {
        assert!(row(packet).is_none(), "{packet:?}");
    }
}

/// A server that greets, takes a login, and says these things; then all that it was told after the login.
fn told_after(said: &'static [&'static [u8]]) -> (Result<(), ConnectorError>, Vec<u8>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let send = |stream: &mut TcpStream, sequence: u8, packet: &[u8]| {
            let length = u8::try_from(packet.len()).expect("it is short");
            stream.write_all(&[&[length, 0, 0, sequence], packet].concat()).expect("somebody listens");
        };
        send(&mut stream, 0, &GREETING.concat());
        let mut head = [0; 4];
        stream.read_exact(&mut head).expect("a login comes");
        stream.read_exact(&mut vec![0; usize::from(head[0])]).expect("it is whole");
        for (index, packet) in said.iter().enumerate() {
            send(&mut stream, u8::try_from(index + 2).expect("they are few"), packet);
        }
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        told
    });
    let second = Duration::from_secs(1);
    let limits = Limits { open_max: 1, idle_max: 1, lifetime: None, connect: second, statement: second };
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let settings = Settings { address, database: String::new(), tls: None, limits };
    let opened = Wire::open(&settings, "vault", "canary", Deadline::after(second)).map(|_| ());
    (opened, server.join().expect("the server ends"))
}

#[test]
fn a_server_that_knows_the_password_lets_in() {
    let (opened, told) = told_after(&[&[1, 3], &[0, 0, 0, 2, 0, 0, 0]]);
    opened.expect("it is let in");
    assert!(told.is_empty());
}

#[test]
fn whoever_asks_for_the_password_itself_without_tls_is_not_told() {
    const SAID: [&[&[u8]]; 4] = [&[&[1, 4]], &[&[0xfe]], &[&[1, 2]], &[b"\xfemysql_clear_password\0"]];
    for said in SAID {
        let (opened, told) = told_after(said);
        let error = opened.expect_err("it is not let in");
        assert!(error.failure() != ConnectorFailure::Unauthenticated && told.is_empty(), "{error}");
    }
}
