//! The process as the kernel sees it, from `/proc`; elsewhere these metrics are absent.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::catalog::{
    Desc, PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START,
    PROCESS_THREADS, PROCESS_VIRTUAL,
};
use super::model::{Gathered, OwnFamily, PointValue};

/// What `/proc` counts time in: 1/100 s on every architecture that this crate is used on.
const TICKS: f64 = 100.0;
/// Memory is read from `status`, which does not depend on the size of a page.
const KIB: f64 = 1024.0;

/// Values that could be read now.
pub(super) fn gather() -> Vec<Gathered> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|folder| folder.count() as f64);
    let values: [(&'static Desc, Option<f64>); 7] = [
        (&PROCESS_CPU, cpu_seconds(&stat)),
        (&PROCESS_MAX_FDS, max_fds(&limits)),
        // One of them is the listing itself.
        (&PROCESS_OPEN_FDS, open.map(|count| count - 1.0)),
        (&PROCESS_RESIDENT, status_kib(&status, "VmRSS:")),
        (&PROCESS_START, start_seconds(&stat, booted())),
        (&PROCESS_THREADS, stat_field(&stat, 20)),
        (&PROCESS_VIRTUAL, status_kib(&status, "VmSize:")),
    ];
    let known = values
        .into_iter()
        .filter_map(|(desc, value)| Some((desc, value?)));
    known
        .map(|(desc, value)| Gathered::Own(OwnFamily::single(desc, PointValue::Number(value))))
        .collect()
}

/// A field of `/proc/self/stat` by its number in the manual. The second, a name in parentheses, may
/// hold anything.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS)
}

/// Read once: the file is long, and a clock that is set must not move the beginning of a process. An atomic,
/// because a child that is forked at any moment goes on with it.
fn booted() -> Option<f64> {
    static BOOTED: AtomicU64 = AtomicU64::new(0);
    if BOOTED.load(Relaxed) == 0 {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        BOOTED.store(boot_seconds(&stat)?, Relaxed);
    }
    Some(BOOTED.load(Relaxed) as f64)
}

fn boot_seconds(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn start_seconds(stat: &str, boot: Option<f64>) -> Option<f64> {
    Some(boot? + stat_field(stat, 22)? / TICKS)
}

fn status_kib(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * KIB)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read_whatever_the_process_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 12 0 1000 9 9 9";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(stat_field(stat, 20), Some(12.0));
        assert_eq!(
            boot_seconds("cpu 1\nbtime 1795000000\n"),
            Some(1_795_000_000)
        );
        assert_eq!(start_seconds(stat, Some(7.0)), Some(17.0));
        assert_eq!(
            status_kib("Name:\tx\nVmRSS:\t    12 kB\n", "VmRSS:"),
            Some(12_288.0)
        );
        assert_eq!(
            max_fds("Max open files            1024     4096   files\n"),
            Some(1024.0)
        );
        assert_eq!(
            max_fds("Max open files   unlimited unlimited files\n"),
            Some(f64::INFINITY)
        );
    }

    #[test]
    fn a_file_that_is_missing_or_different_is_no_value() {
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
        assert_eq!(boot_seconds("btime x"), None);
        assert_eq!(start_seconds("", Some(7.0)), None);
        assert_eq!(start_seconds("7 (a) S 1", None), None);
        assert_eq!(status_kib("VmRSS:\t12 MB\n", "VmRSS:"), None);
        assert_eq!(max_fds("Max open files\n"), None);
    }
}
