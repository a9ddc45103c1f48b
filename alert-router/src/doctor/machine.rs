//! What the router needs of its machine: the time, and room for its data.

use std::fmt::Write;
use std::path::Path;

use alert_engine::Timestamp;
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use crate::check::Report;
use crate::config::StorePlace;

/// With less the next burst of alerts fills the disk.
const LEAST: u64 = 64 << 20;

pub(super) fn examine(store: &StorePlace, now: Timestamp) -> Report {
    let clock = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    let (room, good) = match store {
        StorePlace::Memory => ("memory: nothing outlives the server".to_owned(), true),
        StorePlace::Sqlite(file) => match room(file) {
            Ok(room) => (room, true),
            Err(wrong) => (wrong, false),
        },
    };
    let mut text = String::from("this machine\n");
    let clock = clock.strftime("%Y-%m-%d %H:%M:%S UTC");
    let _ = writeln!(
        text,
        "  {:<9} {clock}: compare it with another clock",
        "clock"
    );
    let _ = writeln!(text, "  {:<9} {room}", if good { "disk" } else { "wrong" });
    Report { text, good }
}

/// How much is free where the store is, or will be.
fn room(file: &Path) -> Result<String, String> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // The folder is made at the first start.
    let mut folders = file.ancestors().skip(1);
    let folder = folders.find(|folder| folder.is_dir()).unwrap_or(&file);
    let place = folder.display();
    let disk = statvfs(folder).map_err(|error| format!("{place}: {error}"))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(format!(
            "{place} is mounted read-only: put the store elsewhere"
        ));
    }
    access(folder, Access::WRITE_OK).map_err(|error| {
        format!("{place}: {error}: give it to the user who runs this, or put the store elsewhere")
    })?;
    judge(&place.to_string(), free)
}

fn judge(place: &str, free: u64) -> Result<String, String> {
    let shown = format!("{} MiB free in {place}", free >> 20);
    if free < LEAST {
        return Err(format!(
            "only {shown}: make room, or put the store elsewhere"
        ));
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_little_room_is_wrong() {
        assert_eq!(judge("/data", LEAST), Ok("64 MiB free in /data".to_owned()));
        let wrong = judge("/data", LEAST - 1).unwrap_err();
        assert!(wrong.starts_with("only 63 MiB free in /data"), "{wrong}");
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_looked_at_where_it_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = StorePlace::Sqlite(folder.path().join("data/deep/router.db"));
        let report = examine(&store, Timestamp::from_millis(1_767_268_800_000));
        let place = folder.path().display().to_string();
        assert!(
            report.text.contains("2026-01-01 12:00:00 UTC"),
            "{}",
            report.text
        );
        assert!(report.text.contains(&place), "{}", report.text);
    }
}
