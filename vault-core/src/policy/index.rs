//! Where rules are looked up: tables for exact rules, a tree of segments for all others.
//!
//! Rules are known here by their rank, which is their number in the order of precedence: of several that match, the highest wins.

use super::compile::{Kind, Merged};
use super::hash::{Seed, Table};

/// An index of rules.
#[derive(Debug)]
pub(super) struct Index {
    /// Exact rules, those that end in a slash apart from the others and without it: a listing asks for both.
    exact: Table<u32>,
    exact_folders: Table<u32>,
    nodes: Vec<Node>,
    seed: Seed,
}

/// A place in the tree: what is reached by a sequence of literal and `+` segments.
#[derive(Debug)]
struct Node {
    literals: Table<u32>,
    plus: Option<u32>,
    /// The `+` rule that ends here.
    end: Option<u32>,
    /// The rule whose `*` stands at the beginning of the next segment.
    glob: Option<u32>,
    /// The rules whose `*` stands within the next segment.
    partial: Option<Box<Partial>>,
}

/// Rules by what the segment of their `*` begins with.
#[derive(Debug)]
struct Partial {
    by_beginning: Table<u32>,
    /// The lengths of these beginnings in bytes, longest first.
    lengths: Vec<usize>,
}

/// In which form of a path a rule was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    AsAsked,
    ListingWithSlash,
    ListingWithoutSlash,
}

/// Is told of the rules that a search comes by.
pub(super) trait Trace {
    /// Whether the search goes on once it is decided, to come by the losers too.
    const WANTS_LOSERS: bool;
    fn matched(&mut self, rank: u32, form: Form);
}

/// Wants to know nothing: the search stops at its winner, and allocates nothing.
pub(super) struct NoTrace;

impl Trace for NoTrace {
    const WANTS_LOSERS: bool = false;
    fn matched(&mut self, _: u32, _: Form) {}
}

/// Every rule that matches, each once, in the form in which it did so first.
#[derive(Default)]
pub(super) struct Candidates(pub(super) Vec<(u32, Form)>);

impl Trace for Candidates {
    const WANTS_LOSERS: bool = true;
    fn matched(&mut self, rank: u32, form: Form) {
        if self.0.iter().all(|(known, _)| *known != rank) {
            self.0.push((rank, form));
        }
    }
}

/// What is left of a path in a walk down the tree.
#[derive(Clone, Copy)]
struct Rest<'p> {
    /// `None` when all is used up.
    text: Option<&'p str>,
    /// Whether a slash follows the text, and so an empty segment.
    then_slash: bool,
}

impl Index {
    /// An index of those rules that `is_wanted`, which are in the order of their precedence.
    pub(super) fn of(rules: &[Merged], is_wanted: impl Fn(&Merged) -> bool) -> Self {
        let seed = Seed::random();
        let mut index =
            Index { exact: Table::with_hasher(seed), exact_folders: Table::with_hasher(seed), nodes: vec![Node::new(seed)], seed };
        for (rank, rule) in (0..).zip(rules).filter(|(_, rule)| is_wanted(rule)) {
            match (rule.kind, rule.path.strip_suffix('/')) {
                (Kind::Exact, None) => drop(index.exact.insert(rule.path.clone(), rank)),
                (Kind::Exact, Some(bare)) => drop(index.exact_folders.insert(bare.into(), rank)),
                (Kind::Prefix | Kind::Segments, _) => index.insert(&rule.path, rule.kind, rank),
            }
        }
        index
    }

    /// The rule that decides on a path as it is.
    pub(super) fn search(&self, path: &str, trace: &mut impl Trace) -> Option<u32> {
        let exact = match path.strip_suffix('/') {
            Some(bare) => self.exact_folders.get(bare),
            None => self.exact.get(path),
        };
        let exact = told(exact.copied(), Form::AsAsked, trace);
        first(exact, trace, |trace| self.non_exact(path, false, Form::AsAsked, trace))
    }

    /// The rule that decides on a listing, which is asked for with a slash behind the path and matched without it too.
    pub(super) fn search_listing(&self, path: &str, slash_first: bool, trace: &mut impl Trace) -> Option<u32> {
        let bare = path.strip_suffix('/').unwrap_or(path);
        let (with, without) = (Form::ListingWithSlash, Form::ListingWithoutSlash);
        let found = told(self.exact_folders.get(bare).copied(), with, trace);
        let found = first(found, trace, |trace| told(self.exact.get(bare).copied(), without, trace));
        let forms = if slash_first { [with, without] } else { [without, with] };
        forms.into_iter().fold(found, |found, form| first(found, trace, |trace| self.non_exact(bare, form == with, form, trace)))
    }

    /// The best of the rules with wildcards that match a path, or that path with a slash.
    fn non_exact<T: Trace>(&self, path: &str, then_slash: bool, form: Form, trace: &mut T) -> Option<u32> {
        let mut best = None;
        self.walk(
            0,
            Rest { text: Some(path), then_slash },
            &mut |rank| {
                trace.matched(rank, form);
                best = best.max(Some(rank));
            },
            T::WANTS_LOSERS,
        );
        best
    }

    /// Every node is come by at most once, since it stands at one depth behind one sequence of segments.
    fn walk(&self, node: u32, rest: Rest<'_>, matched: &mut impl FnMut(u32), wants_losers: bool) {
        let node = &self.nodes[node as usize];
        let Some((segment, after)) = rest.split() else {
            node.end.into_iter().for_each(matched);
            return;
        };
        node.glob.into_iter().for_each(&mut *matched);
        if let Some(partial) = &node.partial {
            for length in partial.lengths.iter().copied().filter(|length| *length <= segment.len()) {
                let found = segment.get(..length).and_then(|beginning| partial.by_beginning.get(beginning));
                found.copied().into_iter().for_each(&mut *matched);
                if found.is_some() && !wants_losers {
                    // The shorter ones have the same first wildcard or an earlier one, and yield.
                    break;
                }
            }
        }
        if !node.literals.is_empty()
            && let Some(child) = node.literals.get(segment)
        {
            self.walk(*child, after, matched, wants_losers);
        }
        if let Some(child) = node.plus {
            self.walk(child, after, matched, wants_losers);
        }
    }

    fn insert(&mut self, path: &str, kind: Kind, rank: u32) {
        let (body, is_glob) = path.strip_suffix('*').map_or((path, false), |body| (body, true));
        let mut node = 0;
        let mut segments = body.split('/').peekable();
        while let Some(segment) = segments.next() {
            if is_glob && segments.peek().is_none() {
                return self.nodes[node].insert_glob(segment, rank, self.seed);
            }
            let fresh = u32::try_from(self.nodes.len()).expect("fewer than 2^32 segments fit into the limits of a token's policies");
            let child = if segment == "+" && kind == Kind::Segments {
                *self.nodes[node].plus.get_or_insert(fresh)
            } else {
                *self.nodes[node].literals.entry(segment.into()).or_insert(fresh)
            };
            if child == fresh {
                self.nodes.push(Node::new(self.seed));
            }
            node = child as usize;
        }
        self.nodes[node].end = Some(rank);
    }
}

impl<'p> Rest<'p> {
    /// The next segment and what is left behind it.
    fn split(self) -> Option<(&'p str, Rest<'p>)> {
        let Some(text) = self.text else {
            return self.then_slash.then_some(("", Rest { text: None, then_slash: false }));
        };
        Some(match text.bytes().position(|byte| byte == b'/') {
            Some(at) => (&text[..at], Rest { text: Some(&text[at + 1..]), ..self }),
            None => (text, Rest { text: None, ..self }),
        })
    }
}

impl Node {
    fn new(seed: Seed) -> Self {
        Node { literals: Table::with_hasher(seed), plus: None, end: None, glob: None, partial: None }
    }

    fn insert_glob(&mut self, beginning: &str, rank: u32, seed: Seed) {
        if beginning.is_empty() {
            self.glob = Some(rank);
            return;
        }
        let empty = || Box::new(Partial { by_beginning: Table::with_hasher(seed), lengths: Vec::new() });
        let partial = self.partial.get_or_insert_with(empty);
        partial.by_beginning.insert(beginning.into(), rank);
        if let Err(at) = partial.lengths.binary_search_by(|length| beginning.len().cmp(length)) {
            partial.lengths.insert(at, beginning.len());
        }
    }
}

fn told(found: Option<u32>, form: Form, trace: &mut impl Trace) -> Option<u32> {
    found.inspect(|rank| trace.matched(*rank, form))
}

/// What was found first decides; what comes later is looked for only when nothing was, or for the losers.
fn first<T: Trace>(found: Option<u32>, trace: &mut T, later: impl FnOnce(&mut T) -> Option<u32>) -> Option<u32> {
    if found.is_some() && !T::WANTS_LOSERS {
        return found;
    }
    let later = later(trace);
    found.or(later)
}
