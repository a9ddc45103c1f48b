//! Work in a process that is forked from the test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{Pid, WaitOptions, waitpid};

/// Does `work` in a child process, which ends by an alarm if it hangs, and returns its id.
#[expect(unsafe_code, reason = "no safe function forks")]
pub(crate) fn in_child(work: impl FnOnce()) -> i64 {
    // SAFETY: the child does what a forked server does; it is watched from here, and ends without
    // the destructors and handlers of its parent.
    let child = match unsafe { libc::fork() } {
        0 => unsafe {
            libc::alarm(60);
            let failed = catch_unwind(AssertUnwindSafe(work)).is_err();
            libc::_exit(i32::from(failed))
        },
        child => Pid::from_raw(child).expect("the system forks"),
    };
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0), "{status:?}");
    i64::from(child.as_raw_pid())
}
