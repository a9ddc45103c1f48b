//! A delivery as the reference person reads it.

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) groups: Vec<Section>,
}

/// What it says about one group.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) group: String,
    pub(crate) reason: String,
    pub(crate) lines: Vec<Line>,
}

/// What it says about one alert.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) alert: String,
    pub(crate) start: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    New,
    Again,
    Over,
    Missed,
    Firing,
}

impl Kind {
    /// Whether the reader takes it that the alert fires.
    pub(crate) fn fires(self) -> bool {
        match self {
            Self::New | Self::Again | Self::Firing => true,
            Self::Over | Self::Missed => false,
        }
    }
}

impl Letter {
    pub(crate) fn read(text: &str) -> Self {
        let mut letter = Self {
            to: String::new(),
            groups: Vec::new(),
        };
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "to" => rest.clone_into(&mut letter.to),
                "made" => {}
                "group" => letter.groups.push(Section::open(rest)),
                _ => {
                    let section = letter.groups.last_mut().expect("lines stand below a group");
                    section.lines.extend(Line::read(word, rest));
                }
            }
        }
        letter
    }

    /// Ends first: who reads of an end and a new beginning believes the beginning.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        let all = || self.groups.iter().flat_map(|section| &section.lines);
        let ends = all().filter(|line| !line.kind.fires());
        ends.chain(all().filter(|line| line.kind.fires()))
    }

    /// For the trace, on one line.
    pub(crate) fn short(&self) -> String {
        let section = |section: &Section| {
            let lines = section.lines.iter();
            let lines: Vec<String> = lines
                .map(|line| {
                    format!(
                        "{:?} {}@{}",
                        line.kind,
                        line.alert,
                        line.start % 100_000_000
                    )
                })
                .collect();
            let group = &section.group[..6.min(section.group.len())];
            format!("{group} {}: {}", section.reason, lines.join(", "))
        };
        let sections: Vec<String> = self.groups.iter().map(section).collect();
        format!("to {} [{}]", self.to, sections.join(" | "))
    }
}

impl Section {
    fn open(text: &str) -> Self {
        let (group, reason) = text.split_once(' ').expect("a group and a reason");
        Self {
            group: group.to_owned(),
            reason: reason.to_owned(),
            lines: Vec::new(),
        }
    }
}

impl Line {
    fn read(word: &str, rest: &str) -> Option<Self> {
        let kind = match word {
            "new" => Kind::New,
            "again" => Kind::Again,
            "over" => Kind::Over,
            "missed" => Kind::Missed,
            "firing" => Kind::Firing,
            other => panic!("what does {other} mean?"),
        };
        let (alert, start) = rest.split_once('@')?;
        Some(Self {
            kind,
            alert: alert.to_owned(),
            start: start.parse().ok()?,
        })
    }
}
