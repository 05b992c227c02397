//! Crowds from outside: started, told what to await, heard.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Some processes of clients.
pub(crate) struct Crowds(Vec<One>);

struct One {
    child: Child,
    words: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Crowds {
    /// Starts so many processes, each with so many connections of so many streams, and waits until
    /// all are open.
    pub(crate) fn open(
        kind: &str,
        socket: &Path,
        [processes, connections, each]: [usize; 3],
    ) -> Self {
        let ones = (0..processes).map(|_| {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .arg(crate::crowd::WORD)
                .arg(kind)
                .arg(socket)
                .args([connections.to_string(), each.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            One {
                words: child.stdin.take().unwrap(),
                lines: BufReader::new(child.stdout.take().unwrap()),
                child,
            }
        });
        let mut all = Self(ones.collect());
        for one in &mut all.0 {
            assert_eq!(one.line(), "open");
        }
        all
    }

    /// From now on they await it.
    pub(crate) fn begin(&mut self, what: &str) {
        for one in &mut self.0 {
            writeln!(one.words, "await {what}").unwrap();
        }
        for one in &mut self.0 {
            assert_eq!(one.line(), "ready");
        }
    }

    /// The moments at which it came, once it has come to all.
    pub(crate) fn moments(&mut self) -> Vec<u64> {
        let lines: Vec<_> = self.0.iter_mut().map(One::line).collect();
        let moments = lines.iter().flat_map(|line| line.split(' '));
        moments.map(|moment| moment.parse().unwrap()).collect()
    }
}

impl One {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
