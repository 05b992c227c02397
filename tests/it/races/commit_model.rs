//! The group commit: many acts at once through one writer that meets every kind of bad luck.
//!
//! A model of the protocol of `store/sqlite/writer.rs`, not of its code: a bounded queue, one
//! thread, what waits goes into one commit, an act that looks before it writes has nothing to take
//! back and any other has its savepoint, answers after the commit, a faulty connection is opened
//! anew, a dead thread answers nobody. The database is a list. What is checked is what callers and
//! the ledger may rely on.

use std::collections::VecDeque;

use shuttle::rand::Rng as _;
use shuttle::sync::mpsc::{Sender, channel};
use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::thread;

use super::schedules::tried;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Fits.
    Fits,
    /// Writes, and turns out not to fit: its savepoint goes.
    DoesNotFit,
    /// Looks, does not fit, and has written nothing.
    LooksAndDoesNotFit,
    /// Meets a fault where there is no savepoint: the whole group goes.
    LooksAndMeetsFault,
    /// Meets a fault of the database: its savepoint goes, and the connection after the commit.
    MeetsFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Durable as this number.
    Recorded(usize),
    Refused,
    Unavailable,
}

struct Act {
    name: usize,
    wish: Wish,
    answer: Sender<Answer>,
}

/// The bounded queue: closed from either end, and emptied when the writer is gone.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    acts: VecDeque<Act>,
    callers: usize,
    writer_gone: bool,
}

/// What the disk holds: the names of acts, in order.
type Disk = Arc<Mutex<Vec<usize>>>;

/// What the disk does to one commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Commits,
    /// Nothing is durable.
    Fails,
    /// It says that it failed, and everything is durable all the same.
    LiesAboutFailing,
    /// The writing thread dies before the commit.
    DiesBefore,
    /// The writing thread dies after the commit, and before the answers.
    DiesAfter,
}

#[test]
fn who_is_answered_is_durable_and_nobody_waits_for_ever() {
    tried(|| {
        let disk: Disk = Arc::new(Mutex::new(Vec::new()));
        let queue = Arc::new(Queue::default());
        queue.state.lock().unwrap().callers = CALLERS;
        let of_writer = (Arc::clone(&disk), Arc::clone(&queue));
        let writer = thread::spawn(move || {
            let lucky = serve(&of_writer.0, &of_writer.1);
            of_writer.1.writer_goes();
            lucky
        });
        let callers: Vec<_> = (0..CALLERS)
            .map(|name| {
                let (queue, disk) = (queue.clone(), Arc::clone(&disk));
                thread::spawn(move || {
                    let told = calls(name, &queue, &disk);
                    queue.caller_goes();
                    told
                })
            })
            .collect();
        let answers: Vec<(Wish, Answer)> =
            callers.into_iter().map(|one| one.join().unwrap()).collect();
        let lucky = writer.join().unwrap();
        let disk = disk.lock().unwrap();
        for (name, (wish, answer)) in answers.iter().enumerate() {
            let times = disk.iter().filter(|one| **one == name).count();
            match (wish, answer) {
                (Wish::Fits, Answer::Recorded(number)) => assert_eq!(disk[*number], name),
                // Whether it is there is read from the disk, never assumed.
                (_, Answer::Unavailable) => assert!(times <= 1),
                (Wish::DoesNotFit | Wish::LooksAndDoesNotFit, Answer::Refused) => {
                    assert_eq!(times, 0);
                }
                other => panic!("{other:?}"),
            }
            let bad_luck = *answer == Answer::Unavailable && *wish != Wish::MeetsFault;
            assert!(
                !(lucky && bad_luck),
                "a neighbour's refusal fails nobody, nor does his fault in a savepoint"
            );
            assert!(
                *wish == Wish::Fits || times == 0,
                "what went wrong leaves nothing"
            );
        }
    });
}

/// One caller; he also looks whether what he was told is durable is there at that moment.
fn calls(name: usize, queue: &Queue, disk: &Disk) -> (Wish, Answer) {
    let wish = match shuttle::rand::thread_rng().gen_range(0..12) {
        0 => Wish::DoesNotFit,
        1 => Wish::LooksAndDoesNotFit,
        2 => Wish::LooksAndMeetsFault,
        3 => Wish::MeetsFault,
        _ => Wish::Fits,
    };
    let (answer, answered) = channel();
    let answer = if queue.send(Act { name, wish, answer }) {
        answered.recv().unwrap_or(Answer::Unavailable)
    } else {
        Answer::Unavailable
    };
    if let Answer::Recorded(number) = answer {
        assert_eq!(
            disk.lock().unwrap().get(number),
            Some(&name),
            "answered before durable"
        );
    }
    (wish, answer)
}

/// The writing thread. Answers whether every commit went well.
fn serve(disk: &Disk, queue: &Queue) -> bool {
    let mut lucky = true;
    // None after a fault; what is known of the ledger's end otherwise.
    let mut open: Option<usize> = Some(0);
    while let Some(group) = queue.group() {
        let end = open.take().unwrap_or_else(|| disk.lock().unwrap().len());
        assert_eq!(
            end,
            disk.lock().unwrap().len(),
            "the end is what the disk says"
        );
        let (rows, answers, healthy) = attempted(&group, end);
        let torn = group.iter().any(|act| act.wish == Wish::LooksAndMeetsFault);
        let luck = if torn { Luck::Fails } else { drawn() };
        lucky &= luck == Luck::Commits;
        if luck == Luck::DiesBefore {
            return false;
        }
        if luck != Luck::Fails {
            disk.lock().unwrap().extend(&rows);
        }
        match luck {
            Luck::DiesAfter => return false,
            Luck::Commits => open = healthy.then_some(end + rows.len()),
            Luck::Fails | Luck::LiesAboutFailing | Luck::DiesBefore => {}
        }
        for (act, answer) in group.into_iter().zip(answers) {
            let answer = if luck == Luck::Commits {
                answer
            } else {
                Answer::Unavailable
            };
            // The caller may have gone.
            let _ = act.answer.send(answer);
        }
    }
    lucky
}

impl Queue {
    /// Waits for room; whether the act was taken.
    fn send(&self, act: Act) -> bool {
        let mut state = self.state.lock().unwrap();
        while QUEUE_MAX <= state.acts.len() && !state.writer_gone {
            state = self.changed.wait(state).unwrap();
        }
        if state.writer_gone {
            return false;
        }
        state.acts.push_back(act);
        self.changed.notify_all();
        true
    }

    /// What waits, at least one; none when nobody can come any more.
    fn group(&self) -> Option<Vec<Act>> {
        let mut state = self.state.lock().unwrap();
        while state.acts.is_empty() && 0 < state.callers {
            state = self.changed.wait(state).unwrap();
        }
        let upto = state.acts.len().min(GROUP_MAX);
        let group: Vec<Act> = state.acts.drain(..upto).collect();
        self.changed.notify_all();
        (!group.is_empty()).then_some(group)
    }

    fn caller_goes(&self) {
        self.state.lock().unwrap().callers -= 1;
        self.changed.notify_all();
    }

    /// Nothing is taken any more, and what waits is dropped, so that its callers hear of it.
    fn writer_goes(&self) {
        let mut state = self.state.lock().unwrap();
        state.writer_gone = true;
        let dropped: Vec<Act> = state.acts.drain(..).collect();
        drop(state);
        drop(dropped);
        self.changed.notify_all();
    }
}

/// Each act in its savepoint: the rows that stay, what each will hear, and whether no act met a
/// fault.
fn attempted(group: &[Act], end: usize) -> (Vec<usize>, Vec<Answer>, bool) {
    let (mut rows, mut answers, mut healthy) = (Vec::new(), Vec::new(), true);
    for act in group {
        let savepoint = rows.len();
        if act.wish != Wish::LooksAndDoesNotFit {
            rows.push(act.name);
        }
        answers.push(match act.wish {
            Wish::Fits => Answer::Recorded(end + savepoint),
            Wish::DoesNotFit => {
                rows.truncate(savepoint);
                Answer::Refused
            }
            Wish::LooksAndDoesNotFit => Answer::Refused,
            // With a savepoint or without, the connection is not used again.
            Wish::LooksAndMeetsFault | Wish::MeetsFault => {
                rows.truncate(savepoint);
                healthy = false;
                Answer::Unavailable
            }
        });
    }
    (rows, answers, healthy)
}

fn drawn() -> Luck {
    match shuttle::rand::thread_rng().gen_range(0..24) {
        0 => Luck::DiesAfter,
        1 => Luck::DiesBefore,
        2 | 3 => Luck::Fails,
        4 => Luck::LiesAboutFailing,
        _ => Luck::Commits,
    }
}

const CALLERS: usize = 5;
const QUEUE_MAX: usize = 2;
const GROUP_MAX: usize = 3;
