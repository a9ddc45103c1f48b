//! Which methods exist. A layer cannot know what is registered behind it, and a caller may ask for
//! anything, so a name becomes a label only after the server showed that the method is there.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::notice::Notices;

/// What stands for every method that is not known.
pub(super) const OTHER: &str = "_OTHER";

/// Methods of one side at most.
const MAX_METHODS: usize = 500;
/// Longer names are nobody's.
const MAX_NAME: usize = 256;

/// The known methods, learned by and by, or given once and for all.
#[derive(Debug)]
pub(super) struct Methods {
    known: RwLock<BTreeSet<Arc<str>>>,
    /// The service has named all of them.
    closed: bool,
    notices: Notices,
}

/// What a call asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Known(Arc<str>),
    /// Well-formed, and not seen before.
    New(Arc<str>),
    /// Not `/package.Service/Method`; cut to a readable length.
    Malformed(Arc<str>),
}

impl Methods {
    pub(super) fn new(notices: Notices) -> Self {
        Self {
            known: RwLock::default(),
            closed: false,
            notices,
        }
    }

    /// Exactly these, as `package.Service/Method`.
    pub(super) fn closed(names: impl IntoIterator<Item = String>, notices: Notices) -> Self {
        let names = names.into_iter();
        let names = names.map(|name| Arc::from(name.trim_start_matches('/')));
        Self {
            known: RwLock::new(names.collect()),
            closed: true,
            notices,
        }
    }

    pub(super) fn ask(&self, path: &str) -> Asked {
        let Some(name) = well_formed(path) else {
            let end = path.floor_char_boundary(MAX_NAME);
            return Asked::Malformed(path[..end].trim_start_matches('/').into());
        };
        match self.find(name) {
            Some(known) => Asked::Known(known),
            None => Asked::New(name.into()),
        }
    }

    /// The method's name for span and metric, `None` for [`OTHER`]. `seen` says that something
    /// showed the method to exist.
    pub(super) fn settle<'a>(&self, asked: &'a Asked, seen: bool) -> Option<&'a str> {
        match asked {
            Asked::Known(name) => Some(name),
            Asked::New(name) => {
                (self.find(name).is_some() || (seen && self.learn(name))).then_some(name)
            }
            Asked::Malformed(_) => None,
        }
    }

    fn find(&self, name: &str) -> Option<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    fn learn(&self, name: &Arc<str>) -> bool {
        if self.closed {
            return false;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_METHODS {
            known.insert(Arc::clone(name));
            return true;
        }
        let has_it = known.contains(name);
        drop(known);
        if !has_it {
            self.notices.once("rpc methods", || {
                format!(
                    "{MAX_METHODS} RPC methods were seen, further ones are recorded as {OTHER}: \
                     is the last part of the path no method's name?"
                )
            });
        }
        has_it
    }
}

impl Asked {
    /// As it came.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) | Self::New(name) | Self::Malformed(name) => name,
        }
    }
}

/// `package.Service/Method`.
fn well_formed(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let (service, method) = name.split_once('/')?;
    let plain = !service.is_empty() && !method.is_empty() && !method.contains('/');
    (plain && name.len() <= MAX_NAME).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::recorded;

    fn settled(methods: &Methods, path: &str, seen: bool) -> String {
        let asked = methods.ask(path);
        methods.settle(&asked, seen).unwrap_or(OTHER).to_owned()
    }

    #[test]
    fn a_method_is_named_once_it_was_seen_to_exist() {
        let methods = Methods::new(recorded().0);
        assert_eq!(settled(&methods, "/shop.Orders/Get", false), OTHER);
        assert_eq!(
            settled(&methods, "/shop.Orders/Get", true),
            "shop.Orders/Get"
        );
        assert_eq!(
            settled(&methods, "/shop.Orders/Get", false),
            "shop.Orders/Get"
        );
        assert_eq!(settled(&methods, "/shop.Orders/Put", false), OTHER);
    }

    #[test]
    fn what_another_call_showed_meanwhile_counts() {
        let methods = Methods::new(recorded().0);
        let early = methods.ask("/a.B/C");
        settled(&methods, "/a.B/C", true);
        assert_eq!(methods.settle(&early, false), Some("a.B/C"));
    }

    #[test]
    fn what_is_no_path_of_a_method_is_never_a_name() {
        let methods = Methods::new(recorded().0);
        let long = format!("/a/{}", "é".repeat(200));
        for path in ["", "/", "*", "/a", "/a/", "//b", "/a/b/c", "a/b", &long] {
            assert_eq!(settled(&methods, path, true), OTHER, "{path}");
            assert!(methods.ask(path).as_str().len() <= MAX_NAME);
        }
    }

    #[test]
    fn f18_the_set_is_capped_and_says_so_once() {
        let (notices, lines) = recorded();
        let methods = Methods::new(notices);
        for at in 0..2 * MAX_METHODS {
            settled(&methods, &format!("/a.B/M{at}"), true);
        }
        assert_eq!(settled(&methods, "/a.B/M0", false), "a.B/M0");
        assert_eq!(settled(&methods, "/a.B/M999", true), OTHER);
        assert_eq!(lines.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_given_list_is_all_there_is() {
        let list = ["a.B/C".to_owned(), "/a.B/D".to_owned()];
        let methods = Methods::closed(list, recorded().0);
        assert_eq!(settled(&methods, "/a.B/C", false), "a.B/C");
        assert_eq!(settled(&methods, "/a.B/D", false), "a.B/D");
        assert_eq!(settled(&methods, "/a.B/E", true), OTHER);
    }
}
