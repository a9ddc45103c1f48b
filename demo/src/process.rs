//! Other programs as processes of ours: each leads a process group of its own, writes into a log
//! file or beside us, is asked to stop and then made to, and ends with us even if we are killed.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};
use tokio::process::{Child, Command};

use crate::Failure;

/// After SIGTERM; alert-router lets deliveries end for 20 s at most.
const GRACE: Duration = Duration::from_secs(25);

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    pub(crate) fn start(
        command: &[OsString],
        vars: &[(String, String)],
        output: Output<'_>,
    ) -> io::Result<Self> {
        let (stdout, stderr) = match output {
            Output::Log(path) => {
                let log = File::create(path)?;
                (log.try_clone()?.into(), log.into())
            }
            Output::Ours => (Stdio::inherit(), Stdio::inherit()),
        };
        let mut leashed = Command::new(std::env::current_exe()?);
        leashed
            .arg("leash")
            .arg("--")
            .args(command)
            .envs(vars.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0); // Ctrl-C reaches us only, and we stop the others in order
        let child = leashed.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = id.and_then(Pid::from_raw);
        Ok(Self { child, group })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it has ended.
    pub(crate) async fn end(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// SIGTERM to the group, SIGKILL when the grace is over; returns when it is gone.
    pub(crate) async fn stop(mut self) -> Stopped {
        if self.ended().is_some() {
            return Stopped::Before;
        }
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_ok() {
            return Stopped::Politely;
        }
        self.kill().await;
        Stopped::Killed
    }

    /// SIGKILL to the group; returns when it is gone.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        // It cannot refuse.
        let _ = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Fails only if the group is gone, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Whoever does not wait for the end makes one: also of what the process has started.
impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::KILL);
        }
    }
}

/// Where a process writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output<'a> {
    /// Into a file that begins anew.
    Log(&'a Path),
    /// Where we write ourselves.
    Ours,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It had ended already.
    Before,
    Politely,
    Killed,
}

/// Becomes `command`, which gets SIGTERM when the demo ends in whatever way. Returns only an error.
pub(crate) fn leash(command: &[OsString]) -> Failure {
    let Some((program, arguments)) = command.split_first() else {
        return "leash needs a command".into();
    };
    let parent = getppid();
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    // The demo may have ended before the line above.
    if getppid() != parent {
        return "the demo has ended".into();
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    format!("{}: {error}", program.to_string_lossy()).into()
}
