//! Sinks against collectors that listen, stall, die and come back; and against a real syslog daemon.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use vault_connectors::socket::SocketSink;
use vault_connectors::syslog::SyslogSink;
use vault_core::host::{AuditLine, AuditSink, ManualClock};
use vault_core::types::{Object, Operation, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, Vault};

const START: u64 = 1_795_457_040_123;

fn lines(from: u64, to: u64) -> Vec<AuditLine> {
    let line = |sequence| AuditLine::new(sequence, Timestamp::from_millis(START), format!("{{\"sequence\":{sequence}}}"));
    (from..=to).map(line).collect()
}

/// What has come over a connection, line by line, until it ends.
fn collect(stream: impl Read) -> Vec<String> {
    BufReader::new(stream).lines().map_while(Result::ok).collect()
}

#[test]
fn lines_go_over_tcp_and_over_a_connection_that_was_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = SocketSink::tcp("tcp", listener.local_addr().unwrap().to_string());
    assert_eq!(sink.name(), "tcp");
    let (closed, news) = std::sync::mpsc::channel();
    let collector = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream).lines();
        let got: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
        // The collector closes here; the next batch goes over a connection of its own.
        drop(lines);
        closed.send(()).unwrap();
        (got, collect(listener.accept().unwrap().0))
    });
    sink.deliver(&lines(1, 3)).unwrap();
    news.recv().unwrap();
    sink.deliver(&lines(4, 6)).unwrap();
    drop(sink);
    let (before, after) = collector.join().unwrap();
    let expected = |from, to| lines(from, to).into_iter().map(|line| line.json).collect::<Vec<_>>();
    assert_eq!((before, after), (expected(1, 3), expected(4, 6)));
}

#[test]
fn an_acknowledged_line_is_one_that_the_collector_has_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let sink = SocketSink::unix("unix", &path).acknowledged();
    let collector = thread::spawn(move || {
        // Dies before it has stored anything.
        drop(listener.accept().unwrap());
        // Answers what it was never sent.
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"99\n").unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for sequence in 1..=3 {
            let line = lines.next().unwrap().unwrap();
            assert_eq!(line, format!("{{\"sequence\":{sequence}}}"));
            writeln!(stream, "{sequence}").unwrap();
        }
    });
    assert!(sink.deliver(&lines(1, 3)).is_err());
    assert!(sink.deliver(&lines(1, 3)).is_err());
    sink.deliver(&lines(1, 3)).unwrap();
    collector.join().unwrap();
}

#[test]
fn a_collector_that_is_not_there_or_stalls_is_an_error_within_its_patience() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = SocketSink::tcp("tcp", free.to_string()).deliver(&lines(1, 1)).unwrap_err();
    assert!(error.to_string().contains("sending to the collector"), "{error}");
    assert!(SocketSink::tcp("tcp", "no.such.name.invalid:1").deliver(&lines(1, 1)).is_err());
    assert!(SocketSink::unix("unix", "/nonexistent/socket").deliver(&lines(1, 1)).is_err());
    assert!(SyslogSink::local("local", "/nonexistent/log").deliver(&lines(1, 1)).is_err());
    // Accepts and never reads.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = SocketSink::tcp("tcp", deaf.local_addr().unwrap().to_string());
    let large = vec![AuditLine::new(1, Timestamp::from_millis(START), "x".repeat(64 << 20))];
    let start = Instant::now();
    assert!(sink.deliver(&large).is_err());
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_message_has_the_form_of_rfc_5424() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let sink = SyslogSink::local("local", &path).with_host("vault 1.example").with_application("pay\u{e9}ments");
    sink.deliver(&lines(1, 2)).unwrap();
    let mut buffer = [0; 1024];
    for sequence in 1..=2 {
        let len = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..len]).unwrap();
        let (process, time) = (std::process::id(), Timestamp::from_millis(START));
        let expected = format!("<86>1 {time} vault1.example payments {process} audit - {{\"sequence\":{sequence}}}");
        assert_eq!(text, expected);
    }
}

/// A process that ends with its owner.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

fn rsyslogd(dir: &Path, port: u16) -> Daemon {
    let conf = dir.join("rsyslog.conf");
    let text = format!(
        "$WorkDirectory {dir}\n$MaxMessageSize 64k\nmodule(load=\"imtcp\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
         input(type=\"imuxsock\" Socket=\"{dir}/log\" UseSpecialParser=\"off\" ParseHostname=\"on\")\n\
         template(name=\"t\" type=\"string\" string=\"%pri% %app-name% %msgid% %hostname% %msg%\\n\")\n\
         action(type=\"omfile\" file=\"{dir}/out\" template=\"t\")\n",
        dir = dir.display()
    );
    fs::write(&conf, text).unwrap();
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(&conf).arg("-i").arg(dir.join("pid")).stdout(Stdio::null()).stderr(Stdio::null());
    Daemon(command.spawn().unwrap_or_else(|error| panic!("this test needs rsyslogd (Debian package rsyslog): {error}")))
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn rows(root: &Session) -> Vec<Value> {
    let response = root.request(Operation::Read, "sys/audit-log/sinks", None).unwrap();
    response.data.unwrap().get("sinks").unwrap().as_array().unwrap().to_vec()
}

fn failures(root: &Session) -> Vec<Option<u64>> {
    rows(root).iter().map(|row| row.get("failures").and_then(Value::as_u64)).collect()
}

#[test]
fn a_real_syslog_daemon_takes_the_log_of_a_vault_over_tcp_and_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
    let tcp = SyslogSink::tcp("tcp", format!("127.0.0.1:{port}")).with_host("vault.example");
    let local = SyslogSink::local("local", dir.path().join("log")).with_host("vault.example");
    let config = Config::in_memory().with_clock(clock.clone()).with_audit_sink(Arc::new(tcp)).with_audit_sink(Arc::new(local));
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    (0..50_u64).for_each(|i| drop(root.kv("secret").put(&format!("a/{i}"), Object::new().with("value", "canary")).unwrap()));
    // The daemon is not there yet: nothing is lost, and the vault goes on.
    vault.tick().unwrap();
    assert_eq!(failures(&root), [Some(1), Some(1)]);
    let _daemon = rsyslogd(dir.path(), port);
    until("the daemon listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    until("its socket is there", || dir.path().join("log").exists().then_some(()));
    clock.advance(Ttl::from_secs(2));
    vault.tick().unwrap();
    assert_eq!(failures(&root), [Some(0), Some(0)]);
    let events = root.audit().events(0, 51).unwrap();
    let text = until("every event has come twice", || {
        let text = fs::read_to_string(dir.path().join("out")).unwrap_or_default();
        (text.lines().filter(|line| line.contains("\"path\":\"secret/data/a/")).count() >= 100).then_some(text)
    });
    for event in events {
        let json = event.to_json();
        let json = std::str::from_utf8(&json).unwrap();
        let expected = format!("86 libvault audit vault.example {json}");
        assert_eq!(text.lines().filter(|line| **line == expected).count(), 2, "{expected} in {text}");
    }
    assert!(!text.contains("canary"));
}
