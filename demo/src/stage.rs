//! The processes of the demo, each at its place on the board: started, looked at, stopped in the opposite
//! order, and one of them killed and started again when people want to see that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alert_router::render::{Language, Phrase};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::interval;

use crate::clock::Since;
use crate::files::Files;
use crate::http::Client;
use crate::part::{Part, Program, Ready, Recipe, State};
use crate::process::{Output, Process, Stopped};
use crate::tool::Tool;
use crate::voice::{Voice, padded};

/// What a part has to become ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a part.
const LOOK: Duration = Duration::from_millis(100);

/// All parts, for the page.
pub(crate) type Board = watch::Sender<Vec<Part>>;

/// Everything that runs.
pub(crate) struct Stage {
    recipes: Vec<Recipe>,
    files: Files,
    client: Client,
    voice: Voice,
    board: Board,
    /// By their place; also those that have ended by themselves.
    running: BTreeMap<usize, Process>,
    /// The place of the one that may be killed.
    dependency: usize,
}

/// Kills the dependency and brings it back, from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Lever(mpsc::Sender<Order>);

/// What the dependency shall be; the answer is how it is then.
#[derive(Debug)]
pub(crate) struct Order {
    fate: Fate,
    done: oneshot::Sender<State>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Dead,
    Alive,
}

impl Lever {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (lever, orders) = mpsc::channel(1);
        (Self(lever), orders)
    }

    /// Returns when it is dead or ready, or will not be; none if the demo is ending.
    pub(crate) async fn pull(&self, fate: Fate) -> Option<State> {
        let (done, answer) = oneshot::channel();
        self.0.send(Order { fate, done }).await.ok()?;
        answer.await.ok()
    }
}

impl Stage {
    /// Nothing runs yet. `dependency` is the name of the part that may be killed.
    pub(crate) fn new(recipes: Vec<Recipe>, files: Files, dependency: &str, voice: Voice) -> Self {
        let parts = recipes.iter().map(|recipe| recipe.part.clone()).collect();
        let named = |recipe: &Recipe| recipe.part.name == dependency;
        Self {
            dependency: recipes.iter().position(named).unwrap_or_default(),
            board: Board::new(parts),
            recipes,
            files,
            client: Client::new(),
            voice,
            running: BTreeMap::new(),
        }
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Starts everything, and returns when each part is ready or will not be.
    pub(crate) async fn start_all(&mut self) {
        let all = 0..self.recipes.len();
        let started = all.filter(|place| self.start(*place)).collect();
        self.while_starting(started).await;
    }

    /// Does what it is told, and notices parts that end by themselves; never ends itself.
    pub(crate) async fn run(&mut self, mut orders: mpsc::Receiver<Order>) {
        let mut tick = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = tick.tick() => self.notice_ends(),
                Some(Order { fate, done }) = orders.recv() => {
                    match fate {
                        Fate::Alive => self.revive(self.dependency).await,
                        Fate::Dead => self.kill(self.dependency).await,
                    }
                    // Who asked may have gone.
                    let _ = done.send(self.part(self.dependency).state);
                }
            }
        }
    }

    pub(crate) async fn stop_all(mut self) {
        self.voice.say(&Phrase::fixed("stopping", "正在停止"));
        while let Some((place, process)) = self.running.pop_last() {
            let how = match process.stop().await {
                Stopped::Before => Phrase::fixed("had ended", "此前已退出"),
                Stopped::Politely => Phrase::fixed("stopped", "已停止"),
                Stopped::Killed => Phrase::fixed(
                    "killed: it did not stop when asked",
                    "已强制终止：未响应停止请求",
                ),
            };
            self.say_of(self.part(place).name, &how);
        }
    }

    async fn kill(&mut self, place: usize) {
        if let Some(process) = self.running.remove(&place) {
            process.kill().await;
        }
        self.set(place, State::Killed);
    }

    /// Also if it has ended by itself.
    async fn revive(&mut self, place: usize) {
        let lives = |process: &mut Process| process.ended().is_none();
        if self.running.get_mut(&place).is_some_and(lives) {
            return;
        }
        self.set(place, State::Starting);
        if self.start(place) {
            self.while_starting(vec![place]).await;
        }
    }

    /// Starts a process, or says why not.
    fn start(&mut self, place: usize) -> bool {
        let recipe = &self.recipes[place];
        let command = match command(&recipe.program) {
            Ok(command) => command,
            Err(why_not) => {
                self.set(place, why_not);
                return false;
            }
        };
        match Process::start(&command, &recipe.vars, Output::Log(&self.log_of(place))) {
            Ok(process) => {
                self.running.insert(place, process);
                true
            }
            Err(error) => {
                self.set(place, State::Failed(Phrase::verbatim(error)));
                false
            }
        }
    }

    /// Looks at the parts until each is ready or will not be.
    async fn while_starting(&mut self, mut waiting: Vec<usize>) {
        let begin = Since::now();
        let mut tick = interval(LOOK);
        while !waiting.is_empty() {
            tick.tick().await;
            let mut still = Vec::new();
            for place in waiting {
                let process = self.running.get_mut(&place);
                if let Some(status) = process.and_then(Process::ended) {
                    self.set(place, ended(&Phrase::verbatim(status), &self.log_of(place)));
                } else if self.is_ready(place).await {
                    self.set(place, State::Ready(begin.elapsed()));
                } else if begin.elapsed() > PATIENCE {
                    self.set(
                        place,
                        ended(
                            &Phrase::fixed("no answer for 30 s", "30 秒内没有响应"),
                            &self.log_of(place),
                        ),
                    );
                } else {
                    still.push(place);
                }
            }
            waiting = still;
        }
    }

    async fn is_ready(&self, place: usize) -> bool {
        match self.recipes[place].ready {
            Ready::Page(at, path) => {
                let answer = self.client.get(at, path).await;
                answer.is_ok_and(|answer| answer.is_success())
            }
            Ready::Port(at) => TcpStream::connect(at).await.is_ok(),
        }
    }

    fn notice_ends(&mut self) {
        let ends = self.running.iter_mut().filter_map(|(place, process)| {
            let status = process.ended()?;
            Some((*place, status.to_string()))
        });
        for (place, status) in ends.collect::<Vec<_>>() {
            if !matches!(self.part(place).state, State::Failed(_)) {
                self.set(place, ended(&Phrase::verbatim(status), &self.log_of(place)));
            }
        }
    }

    fn part(&self, place: usize) -> Part {
        self.board.borrow()[place].clone()
    }

    fn log_of(&self, place: usize) -> PathBuf {
        let name = self.recipes[place].part.name;
        self.files.path(&format!("logs/{name}.log"))
    }

    /// Changes the board and says so.
    fn set(&self, place: usize, state: State) {
        self.board.send_modify(|parts| parts[place].state = state);
        let Part { name, state, .. } = self.part(place);
        self.say_of(name, &state.phrase());
    }

    fn say_of(&self, name: &str, phrase: &Phrase) {
        let name = padded(name, 16);
        self.voice.say(&phrase.map(|text| format!("{name} {text}")));
    }
}

/// What to run, or how the part is without it.
fn command(program: &Program) -> Result<Vec<OsString>, State> {
    let found = |tool: Tool| tool.find().ok_or(State::Missing(tool));
    let own = || std::env::current_exe().map_err(|error| State::Failed(Phrase::verbatim(error)));
    let (file, arguments) = match program {
        Program::Own(arguments) => (own()?, arguments),
        Program::OwnWith(tool, arguments) => (found(*tool).and_then(|_| own())?, arguments),
        Program::Other(tool, arguments) => (found(*tool)?, arguments),
    };
    let arguments = arguments.iter().map(OsString::from);
    Ok(std::iter::once(file.into_os_string())
        .chain(arguments)
        .collect())
}

fn ended(why: &Phrase, log: &Path) -> State {
    let log = log.display();
    State::Failed(Phrase::new(
        format!("{why}; its log: {log}"),
        format!("{}；日志：{log}", why.in_language(Language::Chinese)),
    ))
}
