//! The series of requests that were met before, found without a look at most of their labels: a request
//! that ends as thousands did is told apart by one number and its route.

use std::sync::{Arc, OnceLock};

use crate::text::hash;

/// The bits of a place. What finds its place taken is looked up by all its labels.
const BITS: u32 = 9;

/// Never emptied: a series stays as long as its family.
#[derive(Debug)]
pub(super) struct Recent<V>(Box<[OnceLock<Met<V>>]>);

#[derive(Debug)]
struct Met<V> {
    code: u64,
    route: Box<str>,
    series: Arc<V>,
}

impl<V> Recent<V> {
    pub(super) fn new() -> Self {
        Self((0..1 << BITS).map(|_| OnceLock::new()).collect())
    }

    /// The series that `find` gave for this code and route, or gives now; it is kept if `find` says so.
    pub(super) fn series<'a>(
        &'a self,
        code: u64,
        route: &str,
        find: impl FnOnce() -> (&'a Arc<V>, bool),
    ) -> &'a Arc<V> {
        let place = &self.0[place(code, route)];
        if let Some(met) = place.get()
            && met.code == code
            && *met.route == *route
        {
            return &met.series;
        }
        let (series, keep) = find();
        if keep {
            // Whoever was faster keeps the place.
            let _ = place.set(Met {
                code,
                route: route.into(),
                series: Arc::clone(series),
            });
        }
        series
    }
}

fn place(code: u64, route: &str) -> usize {
    let spread = code.wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize;
    (hash(&[route]) ^ spread) >> (usize::BITS - BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_looked_for_once_by_code_and_route() {
        let recent = Recent::new();
        let (one, other) = (Arc::new(1), Arc::new(2));
        let find = |series| move || (series, true);
        assert_eq!(**recent.series(7, "/a", find(&one)), 1);
        assert_eq!(**recent.series(7, "/a", || unreachable!()), 1);
        assert_eq!(**recent.series(8, "/a", find(&other)), 2);
        assert_eq!(**recent.series(7, "/b", find(&other)), 2);
        assert_eq!(**recent.series(7, "/a", || unreachable!()), 1);
    }

    #[test]
    fn what_is_not_to_be_kept_is_looked_for_each_time() {
        let recent = Recent::new();
        let (overflow, own) = (Arc::new(0), Arc::new(1));
        assert_eq!(**recent.series(7, "/a", || (&overflow, false)), 0);
        assert_eq!(**recent.series(7, "/a", || (&own, true)), 1);
        assert_eq!(**recent.series(7, "/a", || unreachable!()), 1);
    }

    #[test]
    fn more_series_than_places_are_all_told_apart() {
        let recent = Recent::new();
        let routes: Vec<Arc<String>> = (0..2_000).map(|it| Arc::new(format!("/{it}"))).collect();
        for route in routes.iter().chain(&routes) {
            assert_eq!(recent.series(1, route, || (route, true)), route);
        }
    }
}
