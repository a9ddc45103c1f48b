//! Which methods exist. A layer cannot know what is registered behind it, and a caller may ask for
//! anything, so a name becomes a label only after the server showed that the method is there.
//!
//! A refusal shows little: an interceptor that refuses whatever is asked for answers as a method does
//! that fails. So names that were only ever refused have few places, which take none from the others.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::notice::Notices;

/// What stands for every method that is not known.
pub(super) const OTHER: &str = "_OTHER";

/// Methods of one side that have shown to exist, at most.
const MAX_METHODS: usize = 450;
/// Beside them, names that were only ever refused: as many as a server has methods that have failed
/// since its start, and few enough for a stranger to fill.
const MAX_REFUSED: usize = 50;
/// Longer names are nobody's.
const MAX_NAME: usize = 256;

/// The known methods, learned by and by, or given once and for all.
#[derive(Debug)]
pub(super) struct Methods {
    known: RwLock<Known>,
    /// The service has named all of them.
    closed: bool,
    notices: Notices,
}

#[derive(Debug, Default)]
struct Known {
    methods: BTreeSet<Arc<str>>,
    refused: BTreeSet<Arc<str>>,
}

/// What an answer says about the method that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Nothing,
    /// A refusal that methods give, and interceptors may.
    Refused,
    /// Only a method answers so.
    Answered,
}

/// What a call asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Known(Arc<str>),
    /// Only ever refused until now.
    Refused(Arc<str>),
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
            known: RwLock::new(Known {
                methods: names.collect(),
                refused: BTreeSet::new(),
            }),
            closed: true,
            notices,
        }
    }

    pub(super) fn ask(&self, path: &str) -> Asked {
        let Some(name) = well_formed(path) else {
            let end = path.floor_char_boundary(MAX_NAME);
            return Asked::Malformed(path[..end].trim_start_matches('/').into());
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(method) = known.methods.get(name) {
            return Asked::Known(Arc::clone(method));
        }
        match known.refused.get(name) {
            Some(refused) => Asked::Refused(Arc::clone(refused)),
            None => Asked::New(name.into()),
        }
    }

    /// The method's name for span and metric, `None` for [`OTHER`]. `proof` is what the answer shows.
    pub(super) fn settle<'a>(&self, asked: &'a Asked, proof: Proof) -> Option<&'a str> {
        match (asked, proof) {
            (Asked::Known(name), _) => Some(name),
            (Asked::Refused(name), Proof::Nothing | Proof::Refused) => Some(name),
            (Asked::Refused(name), Proof::Answered) => {
                self.learn(name, proof);
                Some(name)
            }
            (Asked::New(name), Proof::Nothing) => self.has(name).then_some(name),
            (Asked::New(name), Proof::Refused | Proof::Answered) => {
                self.learn(name, proof).then_some(name)
            }
            (Asked::Malformed(_), _) => None,
        }
    }

    /// Whether another call has shown it meanwhile.
    fn has(&self, name: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.has(name)
    }

    fn learn(&self, name: &Arc<str>, proof: Proof) -> bool {
        if self.closed {
            return self.has(name);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let has_it = match proof {
            Proof::Answered => known.answered(name),
            Proof::Refused | Proof::Nothing => known.refused(name),
        };
        drop(known);
        match proof {
            _ if has_it => {}
            Proof::Answered => self.notices.once("rpc methods", || {
                format!(
                    "{MAX_METHODS} RPC methods were seen, further ones are recorded as {OTHER}: \
                     is the last part of the path no method's name?"
                )
            }),
            Proof::Refused | Proof::Nothing => self.notices.once("rpc refusals", || {
                format!(
                    "{MAX_REFUSED} RPC methods were refused and never answered, further ones are \
                     recorded as {OTHER} until they answer: does an interceptor refuse whatever is \
                     asked for? `GrpcServerLayer::methods` names those that exist"
                )
            }),
        }
        has_it
    }
}

impl Known {
    fn has(&self, name: &str) -> bool {
        self.methods.contains(name) || self.refused.contains(name)
    }

    /// Frees its place among the refused.
    fn answered(&mut self, name: &Arc<str>) -> bool {
        if self.methods.len() >= MAX_METHODS {
            return self.has(name);
        }
        self.refused.remove(name);
        self.methods.insert(Arc::clone(name));
        true
    }

    fn refused(&mut self, name: &Arc<str>) -> bool {
        if !self.has(name) && self.refused.len() < MAX_REFUSED {
            self.refused.insert(Arc::clone(name));
        }
        self.has(name)
    }
}

impl Asked {
    /// As it came.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) | Self::Refused(name) | Self::New(name) | Self::Malformed(name) => {
                name
            }
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

    use Proof::{Answered, Nothing, Refused};

    fn settled(methods: &Methods, path: &str, proof: Proof) -> String {
        let asked = methods.ask(path);
        methods.settle(&asked, proof).unwrap_or(OTHER).to_owned()
    }

    #[test]
    fn a_method_is_named_once_it_was_seen_to_exist() {
        for proof in [Answered, Refused] {
            let methods = Methods::new(recorded().0);
            assert_eq!(settled(&methods, "/shop.Orders/Get", Nothing), OTHER);
            for proof in [proof, Nothing] {
                let name = settled(&methods, "/shop.Orders/Get", proof);
                assert_eq!(name, "shop.Orders/Get");
            }
            assert_eq!(settled(&methods, "/shop.Orders/Put", Nothing), OTHER);
        }
    }

    #[test]
    fn what_another_call_showed_meanwhile_counts() {
        let methods = Methods::new(recorded().0);
        let early = methods.ask("/a.B/C");
        settled(&methods, "/a.B/C", Answered);
        assert_eq!(methods.settle(&early, Nothing), Some("a.B/C"));
    }

    #[test]
    fn what_is_no_path_of_a_method_is_never_a_name() {
        let methods = Methods::new(recorded().0);
        let long = format!("/a/{}", "é".repeat(200));
        for path in ["", "/", "*", "/a", "/a/", "//b", "/a/b/c", "a/b", &long] {
            assert_eq!(settled(&methods, path, Answered), OTHER, "{path}");
            assert!(methods.ask(path).as_str().len() <= MAX_NAME);
        }
    }

    #[test]
    fn f18_the_set_is_capped_and_says_so_once() {
        let (notices, lines) = recorded();
        let methods = Methods::new(notices);
        for at in 0..2 * MAX_METHODS {
            settled(&methods, &format!("/a.B/M{at}"), Answered);
        }
        assert_eq!(settled(&methods, "/a.B/M0", Nothing), "a.B/M0");
        assert_eq!(settled(&methods, "/a.B/M899", Answered), OTHER);
        assert_eq!(lines.lock().unwrap().len(), 1);
    }

    #[test]
    fn f18_refusals_take_no_place_from_methods_that_answer() {
        let (notices, lines) = recorded();
        let methods = Methods::new(notices);
        for at in 0..2 * MAX_METHODS {
            settled(&methods, &format!("/a.B/M{at}"), Refused);
        }
        assert_eq!(settled(&methods, "/a.B/M0", Nothing), "a.B/M0");
        assert_eq!(settled(&methods, "/a.B/M899", Refused), OTHER);
        assert_eq!(lines.lock().unwrap().len(), 1, "{lines:?}");
        for at in 0..MAX_METHODS {
            let name = settled(&methods, &format!("/c.D/M{at}"), Answered);
            assert_eq!(name, format!("c.D/M{at}"));
        }
        assert_eq!(lines.lock().unwrap().len(), 1, "{lines:?}");
    }

    #[test]
    fn a_method_that_answers_after_all_leaves_its_place_among_the_refused() {
        let methods = Methods::new(recorded().0);
        for at in 0..3 * MAX_REFUSED {
            let path = format!("/a.B/M{at}");
            for proof in [Refused, Answered, Refused] {
                assert_eq!(settled(&methods, &path, proof), path[1..]);
            }
        }
    }

    #[test]
    fn a_given_list_is_all_there_is() {
        let list = ["a.B/C".to_owned(), "/a.B/D".to_owned()];
        let methods = Methods::closed(list, recorded().0);
        assert_eq!(settled(&methods, "/a.B/C", Nothing), "a.B/C");
        assert_eq!(settled(&methods, "/a.B/D", Nothing), "a.B/D");
        for proof in [Answered, Refused] {
            assert_eq!(settled(&methods, "/a.B/E", proof), OTHER);
        }
    }
}
