//! What people can break: the stock itself, or what the services depend on.

use clap::ValueEnum;

use crate::service::Mode;

/// A way in which the demo is broken. Only one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trouble {
    /// Every second request fails.
    Errors,
    /// Every request takes 0.8 s longer.
    Latency,
    /// What others depend on is killed: Redis, or without one the stock.
    Dependency,
}

impl Trouble {
    pub(crate) const ALL: [Self; 3] = [Self::Errors, Self::Latency, Self::Dependency];

    /// Its name on the command line, and in the addresses of the page.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Errors => Mode::Errors.as_str(),
            Self::Latency => Mode::Latency.as_str(),
            Self::Dependency => "dependency",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|trouble| trouble.as_str() == text)
    }

    /// What is wrong in the stock then.
    pub(crate) fn in_the_stock(self) -> Option<Mode> {
        match self {
            Self::Errors => Some(Mode::Errors),
            Self::Latency => Some(Mode::Latency),
            Self::Dependency => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_and_the_page_call_each_trouble_the_same() {
        for trouble in Trouble::ALL {
            assert_eq!(Trouble::parse(trouble.as_str()), Some(trouble));
            let typed = trouble.to_possible_value();
            assert_eq!(typed.unwrap().get_name(), trouble.as_str());
        }
        assert_eq!(Trouble::parse("other"), None);
    }
}
