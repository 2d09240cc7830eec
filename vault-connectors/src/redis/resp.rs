//! Redis' protocol (RESP2) as far as accounts need it, with limits on what a server may answer.

use crate::target::{Deadline, Stream};
use std::io::{self, ErrorKind, Read, Write};
use zeroize::Zeroizing;

const ANSWER_BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: u32 = 8;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Text(String),
    Number(i64),
    Nothing,
    List(Vec<Answer>),
    /// No, with the word that its text begins with; the rest can quote what was sent.
    Refused(String),
}

/// A connection to a server.
pub(super) struct Wire<S = Stream> {
    stream: S,
    /// What was received and not yet looked at.
    buffer: Vec<u8>,
}

impl<S: Read + Write> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Wire { stream, buffer: Vec::new() }
    }

    /// Sends a command as an array of words, in which nothing has a meaning, and receives the answer.
    pub(super) fn ask(&mut self, words: &[&str]) -> io::Result<Answer> {
        let mut out = Zeroizing::new(Vec::with_capacity(words.iter().map(|word| word.len() + 32).sum::<usize>() + 32));
        write!(out, "*{}\r\n", words.len())?;
        for word in words {
            write!(out, "${}\r\n{word}\r\n", word.len())?;
        }
        self.stream.write_all(&out)?;
        self.stream.flush()?;
        let mut budget = ANSWER_BYTES_MAX;
        self.answer(DEPTH_MAX, &mut budget)
    }

    fn answer(&mut self, depth: u32, budget: &mut usize) -> io::Result<Answer> {
        let line = self.line(budget)?;
        let (kind, text) = line.split_at_checked(1).ok_or(ErrorKind::InvalidData)?;
        Ok(match kind {
            "+" => Answer::Text(text.to_owned()),
            "-" => Answer::Refused(text.split(' ').next().unwrap_or_default().chars().filter(char::is_ascii_uppercase).take(32).collect()),
            ":" => Answer::Number(text.parse().map_err(|_| ErrorKind::InvalidData)?),
            "$" | "*" if text == "-1" => Answer::Nothing,
            "$" => {
                let length: usize = text.parse().map_err(|_| ErrorKind::InvalidData)?;
                let bytes = self.take(length.checked_add(2).ok_or(ErrorKind::InvalidData)?, budget)?;
                Answer::Text(String::from_utf8_lossy(&bytes[..length]).into_owned())
            }
            "*" if depth > 0 => {
                let count: usize = text.parse().map_err(|_| ErrorKind::InvalidData)?;
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.answer(depth - 1, budget)?);
                }
                Answer::List(list)
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        })
    }

    fn line(&mut self, budget: &mut usize) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.take(end + 1, budget)?;
                return Ok(String::from_utf8_lossy(line.strip_suffix(b"\r\n").ok_or(ErrorKind::InvalidData)?).into_owned());
            }
            self.fill(*budget)?;
        }
    }

    fn take(&mut self, length: usize, budget: &mut usize) -> io::Result<Vec<u8>> {
        *budget = budget.checked_sub(length).ok_or(ErrorKind::InvalidData)?;
        while self.buffer.len() < length {
            self.fill(ANSWER_BYTES_MAX)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn fill(&mut self, limit: usize) -> io::Result<()> {
        if self.buffer.len() > limit {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }
}

impl Wire {
    pub(super) fn wait_until(&mut self, deadline: Deadline) {
        self.stream.wait_until(deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers whatever it is told.
    struct Said<'a>(&'a [u8], Vec<u8>);

    impl Read for Said<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // A byte at a time: answers come in whatever pieces.
            self.0.read(&mut buffer[..1])
        }
    }

    impl Write for Said<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn answer(said: &[u8]) -> io::Result<Answer> {
        Wire::new(Said(said, Vec::new())).ask(&["PING"])
    }

    #[test]
    fn answers_are_read_and_refusals_tell_only_their_kind() {
        assert_eq!(answer(b"+OK\r\n").expect("text"), Answer::Text("OK".to_owned()));
        assert_eq!(answer(b"-WRONGPASS secret\r\n").expect("a refusal"), Answer::Refused("WRONGPASS".to_owned()));
        let list = Answer::List(vec![Answer::Number(-2), Answer::Nothing, Answer::Text("a\r\nb".to_owned())]);
        assert_eq!(answer(b"*3\r\n:-2\r\n$-1\r\n$4\r\na\r\nb\r\n").expect("a list"), list);
    }

    #[test]
    fn words_are_sent_with_their_lengths_so_that_nothing_in_them_means_anything() {
        let mut wire = Wire::new(Said(b"+OK\r\n", Vec::new()));
        wire.ask(&["A", "b\r\n*1\r\nä"]).expect("answered");
        assert_eq!(wire.stream.1, "*2\r\n$1\r\nA\r\n$9\r\nb\r\n*1\r\nä\r\n".as_bytes());
    }

    #[test]
    fn nonsense_of_a_server_is_an_error() {
        let deep = "*1\r\n".repeat(9);
        for said in [
            &b""[..],
            b"\r\n",
            b"?\r\n",
            b"+OK\n",
            b"$x\r\n",
            b"$9999999999\r\n",
            b"*999999999\r\n",
            b":a\r\n",
            b"$3\r\nab",
            deep.as_bytes(),
        ] {
            assert!(answer(said).is_err(), "{said:?}");
        }
    }
}
