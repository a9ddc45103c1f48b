//! Why a lane speaks. One pure function, one table.

/// Why a lane speaks: chooses the content, names the message, labels the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It has surely heard nothing that still stands, and something fires.
    First,
    /// Something fires that it has not surely heard.
    NewAlerts,
    /// Some of what it heard ended.
    SomeResolved,
    /// All of what it heard ended.
    AllResolved,
    /// Something fired and ended before it could be told.
    Missed,
    /// Nothing changed for the repeat interval.
    Repeat,
}

/// What a lane knows, against what is so. Muted and doubted alerts count as said in each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// It surely heard of some episode.
    pub(crate) heard: bool,
    /// Some episode fires, unmuted, that it has not surely heard.
    pub(crate) news: bool,
    /// Some episode that it may have heard is over.
    pub(crate) over: bool,
    /// Some episode that it may have heard is not over: it fires (muted or not) or is in doubt.
    pub(crate) left: bool,
    /// Some episode that it was owed, and has not heard at all, is over.
    pub(crate) missed: bool,
    /// Some episode that it surely heard fires, unmuted.
    pub(crate) standing: bool,
}

impl Facts {
    /// Whether there is anything to say that was not said.
    pub(crate) fn unsaid(&self) -> bool {
        self.news || self.over || self.missed
    }
}

/// The verdict; `None` is silence. `Repeat` still depends on the time since the last message.
pub(crate) fn verdict(facts: &Facts) -> Option<Verdict> {
    if facts.news && !facts.heard {
        Some(Verdict::First)
    } else if facts.news {
        Some(Verdict::NewAlerts)
    } else if facts.over && facts.left {
        Some(Verdict::SomeResolved)
    } else if facts.over {
        Some(Verdict::AllResolved)
    } else if facts.missed {
        Some(Verdict::Missed)
    } else if facts.standing {
        Some(Verdict::Repeat)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `facts`: **h**eard, **n**ews, **o**ver, **l**eft, **m**issed, **s**tanding.
    fn check(facts: &str, expected: Option<Verdict>) {
        let has = |letter| facts.contains(letter);
        let got = verdict(&Facts {
            heard: has('h'),
            news: has('n'),
            over: has('o'),
            left: has('l'),
            missed: has('m'),
            standing: has('s'),
        });
        assert_eq!(got, expected, "{facts:?}");
    }

    #[test]
    fn the_first_row_that_fits_names_the_verdict() {
        // Nothing surely heard, something fires.
        check("n", Some(Verdict::First));
        check("nl", Some(Verdict::First));
        check("no", Some(Verdict::First));
        check("nom", Some(Verdict::First));
        // Some heard, and something fires that was not.
        check("hn", Some(Verdict::NewAlerts));
        check("hnls", Some(Verdict::NewAlerts));
        check("hnolms", Some(Verdict::NewAlerts));
        // Some of what may have been heard ended.
        check("hols", Some(Verdict::SomeResolved));
        check("ol", Some(Verdict::SomeResolved));
        check("holm", Some(Verdict::SomeResolved));
        // All of it ended.
        check("ho", Some(Verdict::AllResolved));
        check("o", Some(Verdict::AllResolved));
        check("hom", Some(Verdict::AllResolved));
        // Something ended before it could be told.
        check("m", Some(Verdict::Missed));
        check("hlms", Some(Verdict::Missed));
        // Everything that fires was heard.
        check("hls", Some(Verdict::Repeat));
        // Muted, in doubt, or nothing at all.
        check("hl", None);
        check("l", None);
        check("", None);
    }
}
