//! A sample of every version of every kind that was ever stored, as `testdata/stored/KIND-vN`, and
//! beside it what it is read as. Such bytes are on disks, so never edit one: where this binary writes
//! something else, `WRITE_SAMPLES=1` adds the next.

mod kinds;

use std::fs;
use std::path::{Path, PathBuf};

use super::Kind;

/// How documents of one kind are written and read.
struct Samples {
    /// In the names of files.
    name: &'static str,
    form: Form,
    /// What this binary writes, with all that it knows to write.
    written: Vec<u8>,
    /// What this binary reads in one document.
    read: fn(&[u8]) -> String,
}

#[derive(Clone, Copy)]
enum Form {
    /// One document.
    Bytes,
    /// Documents of JSON, one a line.
    Lines,
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Self::Bytes => "bin",
            Self::Lines => "json",
        }
    }

    fn documents(self, sample: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Bytes => vec![sample],
            Self::Lines => {
                let lines = sample.split(|byte| *byte == b'\n');
                lines.filter(|line| !line.is_empty()).collect()
            }
        }
    }
}

impl Samples {
    fn of(kind: Kind) -> Self {
        kinds::samples(kind)
    }

    fn path(&self, version: usize) -> PathBuf {
        let extension = self.form.extension();
        folder().join(format!("{}-v{version}.{extension}", self.name))
    }

    /// The versions in their order, from 1.
    fn all(&self) -> Vec<Vec<u8>> {
        let versions = (1..).map(|version| fs::read(self.path(version)));
        versions.map_while(Result::ok).collect()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/stored")
}

/// Writes a file that is not there yet.
fn add(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    std::io::Write::write_all(&mut file, bytes)
}

#[test]
fn every_kind_has_samples_and_the_newest_is_what_is_written_now() {
    for kind in Kind::ALL {
        let samples = Samples::of(kind);
        let all = samples.all();
        if all.last() == Some(&samples.written) {
            continue;
        }
        let next = samples.path(all.len() + 1);
        let written = std::env::var_os("WRITE_SAMPLES").map(|_| add(&next, &samples.written));
        assert!(
            matches!(written, Some(Ok(()))),
            "{kind:?}: no sample is what this binary writes; WRITE_SAMPLES=1 adds {}: {written:?}",
            next.display()
        );
    }
}

#[test]
fn every_sample_is_read_as_it_was_when_it_was_new() {
    for kind in Kind::ALL {
        let samples = Samples::of(kind);
        for (before, sample) in samples.all().iter().enumerate() {
            let documents = samples.form.documents(sample).into_iter();
            let read: Vec<String> = documents.map(samples.read).collect();
            let name = format!("{}-v{}", samples.name, before + 1);
            insta::with_settings!({ snapshot_path => folder(), prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(name, read.join("\n"));
            });
        }
    }
}

#[test]
fn a_sample_that_is_there_is_never_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group-v1.bin");
    add(&path, b"old").unwrap();
    let error = add(&path, b"new").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn no_file_lies_among_the_samples_that_no_kind_reads() {
    let known: Vec<PathBuf> = Kind::ALL
        .map(Samples::of)
        .iter()
        .flat_map(|samples| (1..=samples.all().len()).map(|version| samples.path(version)))
        .collect();
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let sample = known
            .iter()
            .any(|known| known.with_extension("") == path.with_extension(""));
        assert!(sample, "{}", path.display());
    }
}
