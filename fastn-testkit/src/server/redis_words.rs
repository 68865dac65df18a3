//! What is said to a Redis, and what it answers (RESP 2).

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How deep answers are nested at most.
const DEPTH: u8 = 8;

/// What a Redis answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no such thing.
    Nothing,
    /// A number.
    Number(i64),
    /// A word, such as `OK`.
    Word(String),
    /// A value.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Answer>),
}

impl Answer {
    /// What it says, as text.
    pub fn text(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Word(word) => word.clone(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::List(answers) => answers.iter().map(Self::text).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// Says several things one after the other on a connection of their own, and gives the last answer.
///
/// # Errors
///
/// It does not answer, or refuses one of them.
pub(super) fn say(host: &str, port: u16, commands: &[Vec<&[u8]>]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut last = Answer::Nothing;
    for words in commands {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        stream.write_all(&bytes)?;
        last = hear(&mut answers, DEPTH)?;
    }
    Ok(last)
}

fn hear(from: &mut impl BufRead, depth: u8) -> io::Result<Answer> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak as a Redis does");
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or_else(strange)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(strange)?;
    let number = || rest.parse::<i64>().map_err(|_| strange());
    Ok(match kind {
        "+" => Answer::Word(rest.to_owned()),
        "-" => return Err(io::Error::other(rest.to_owned())),
        ":" => Answer::Number(number()?),
        "$" => match usize::try_from(number()?) {
            Ok(length) => {
                let mut bytes = Vec::new();
                from.take(length as u64 + 2).read_to_end(&mut bytes)?;
                bytes.truncate(length);
                Answer::Bytes(bytes)
            }
            Err(_) => Answer::Nothing,
        },
        "*" => {
            let deeper = depth.checked_sub(1).ok_or_else(strange)?;
            let count = usize::try_from(number()?).unwrap_or(0);
            Answer::List((0..count).map(|_| hear(from, deeper)).collect::<io::Result<_>>()?)
        }
        _ => return Err(strange()),
    })
}
