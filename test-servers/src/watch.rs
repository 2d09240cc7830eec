//! Processes: a server under a shell that ends it, and signals to it.

use crate::Outcome;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts the server, tells its number, and waits for a word or the end of its input; the end of the one who watches is one. Then it ends the
/// server, and removes the folder unless it is told to keep it. Until then the server stays this shell's child, so that nobody else can get its
/// number.
const SCRIPT: &str = r#"
folder=$1; farewell=$2; shift 2
"$@" <&- >"$folder/log" 2>&1 &
server=$!
echo $server
word=
read -r word
kill -CONT $server 2>/dev/null
kill -"$farewell" $server 2>/dev/null
( sleep 10; kill -KILL $server 2>/dev/null ) &
killer=$!
wait $server 2>/dev/null
kill -KILL $killer 2>/dev/null
[ "$word" = keep ] || rm -rf -- "$folder"
"#;

/// A shell that watches a server.
#[derive(Debug)]
pub(crate) struct Watched {
    shell: Child,
    pid: u32,
}

impl Watched {
    pub(crate) fn start(command: &[String], folder: &Path, farewell: &str) -> Outcome<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(folder).arg(farewell).args(command);
        // Nothing of an earlier run is to be taken for this one's.
        fs::write(folder.join("log"), "")?;
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(shell.stdout.take().ok_or("the shell has no output")?).read_line(&mut line)?;
        Ok(Watched { shell, pid: line.trim().parse()? })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the server, and keeps its folder.
    pub(crate) fn end_and_keep(mut self) -> Outcome<()> {
        Ok(self.shell.stdin.take().ok_or("the shell has no input")?.write_all(b"keep\n")?)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It cannot fail to end; and if it does, nothing is to be done here.
        let _ = self.shell.wait();
    }
}

/// Runs a command to its end, and answers with what it said when that was not well.
pub(crate) fn run<S: AsRef<OsStr>>(command: &[S]) -> Outcome<()> {
    let (program, words) = command.split_first().ok_or("there is no command")?;
    let output = Command::new(program).args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{} failed: {}", program.as_ref().to_string_lossy(), String::from_utf8_lossy(&said)).into())
}

pub(crate) fn signal(name: &str, pid: u32) -> Outcome<()> {
    run(&["sh", "-c", "kill -\"$1\" \"$2\"", "sh", name, &pid.to_string()])
}

/// Whether a process runs: one that ended and was not waited for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    numbers.filter(|child| state_and_parent(*child).is_some_and(|(_, parent)| parent == pid)).collect()
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets can hold anything.
    let mut words = status.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}
