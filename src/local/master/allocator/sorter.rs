//! Who comes first: dominant resource fairness among the roles, which form a tree, and among the frameworks of a role.
//!
//! Source: `src/master/allocator/mesos/sorter/drf/sorter.cpp` of Apache Mesos 1.11.0.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::quantities::Quantities;

/// Weight of a role for which nobody set one (`DEFAULT_WEIGHT`, `src/master/constants.hpp`).
pub(in crate::local::master) const DEFAULT_WEIGHT: f64 = 1.0;

/// Something in line: a role, several of them, or a framework.
#[derive(Debug)]
struct Ranked {
    /// Decides between those of the same share and count.
    name: String,
    weight: f64,
    allocated: Quantities,
    share: f64,
    /// How often it was allocated something.
    count: u64,
}

impl Ranked {
    fn order(&self, other: &Self) -> Ordering {
        let shares = self.share.total_cmp(&other.share);
        shares
            .then_with(|| self.count.cmp(&other.count))
            .then_with(|| self.name.cmp(&other.name))
    }

    fn allocate(&mut self, quantities: &Quantities, total: &Quantities) {
        self.allocated += quantities;
        self.count += 1;
        self.weigh(total);
    }

    fn weigh(&mut self, total: &Quantities) {
        self.share = self.allocated.dominant_share(total) / self.weight;
    }
}

/// Moves `who`, the only one out of place, to its place in `line`.
fn put_in_place<T: Copy + PartialEq>(line: &mut [T], who: T, order: impl Fn(&T, &T) -> Ordering) {
    let Some(mut at) = line.iter().position(|own| *own == who) else {
        return;
    };
    while at > 0 && order(&line[at], &line[at - 1]).is_lt() {
        line.swap(at, at - 1);
        at -= 1;
    }
    while at + 1 < line.len() && order(&line[at + 1], &line[at]).is_lt() {
        line.swap(at, at + 1);
        at += 1;
    }
}

/// A role that something is allocated to, or that somebody is subscribed to.
#[derive(Debug)]
pub(super) struct SortedRole<'a> {
    pub(super) name: &'a str,
    pub(super) allocated: &'a Quantities,
}

/// Roles in the order in which they are served. A role is known by its place in the list that it was made of.
#[derive(Debug)]
pub(super) struct RoleSorter {
    /// The first one is the root.
    nodes: Vec<Node>,
    /// The leaf of each role.
    leaves: Vec<usize>,
    total: Quantities,
    order: Option<Rc<[usize]>>,
}

#[derive(Debug)]
struct Node {
    ranked: Ranked,
    parent: usize,
    /// In order.
    children: Vec<usize>,
    role: Option<usize>,
}

const ROOT: usize = 0;

impl RoleSorter {
    /// `counts`: by node, from the sorter before.
    pub(super) fn new(
        roles: &[SortedRole<'_>],
        total: Quantities,
        weights: &BTreeMap<String, f64>,
        counts: &BTreeMap<String, u64>,
    ) -> Self {
        let parents: BTreeSet<&str> = roles.iter().flat_map(|role| ancestors(role.name)).collect();
        let mut sorter = Self {
            nodes: Vec::with_capacity(roles.len() + parents.len() + 1),
            leaves: Vec::with_capacity(roles.len()),
            total,
            order: None,
        };
        sorter.add(String::new(), ROOT, DEFAULT_WEIGHT, 0);
        let mut inner: BTreeMap<&str, usize> = BTreeMap::new();
        let weight = |name: &str| weights.get(name).copied().unwrap_or(DEFAULT_WEIGHT);
        let count = |name: &str| counts.get(name).copied().unwrap_or_default();
        for (index, role) in roles.iter().enumerate() {
            let is_parent = parents.contains(role.name);
            let mut parent = ROOT;
            for name in ancestors(role.name).chain(is_parent.then_some(role.name)) {
                parent = *inner.entry(name).or_insert_with(|| {
                    sorter.add(name.to_owned(), parent, weight(name), count(name))
                });
            }
            // A role with others below it is a leaf among them, which no weight can be set for.
            let name = if is_parent {
                format!("{}/.", role.name)
            } else {
                role.name.to_owned()
            };
            let (weight, count) = (weight(&name), count(&name));
            let leaf = sorter.add(name, parent, weight, count);
            sorter.nodes[leaf].role = Some(index);
            sorter.leaves.push(leaf);
            sorter.for_path(leaf, |node, _| node.ranked.allocated += role.allocated);
        }
        sorter.sort();
        sorter
    }

    fn add(&mut self, name: String, parent: usize, weight: f64, count: u64) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            ranked: Ranked {
                name,
                weight,
                allocated: Quantities::default(),
                share: 0.0,
                count,
            },
            parent,
            children: Vec::new(),
            role: None,
        });
        if index != ROOT {
            self.nodes[parent].children.push(index);
        }
        index
    }

    /// From `node` up to the root.
    fn for_path(&mut self, mut node: usize, mut with: impl FnMut(&mut Node, &Quantities)) {
        loop {
            with(&mut self.nodes[node], &self.total);
            if node == ROOT {
                break;
            }
            node = self.nodes[node].parent;
        }
    }

    fn sort(&mut self) {
        for node in &mut self.nodes {
            node.ranked.weigh(&self.total);
        }
        for parent in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[parent].children);
            children.sort_by(|one, other| self.compare(*one, *other));
            self.nodes[parent].children = children;
        }
    }

    fn compare(&self, one: usize, other: usize) -> Ordering {
        self.nodes[one].ranked.order(&self.nodes[other].ranked)
    }

    pub(super) fn allocated(&mut self, role: usize, quantities: &Quantities) {
        let mut node = self.leaves[role];
        self.for_path(node, |node, total| node.ranked.allocate(quantities, total));
        while node != ROOT {
            let parent = self.nodes[node].parent;
            let mut children = std::mem::take(&mut self.nodes[parent].children);
            put_in_place(&mut children, node, |one, other| self.compare(*one, *other));
            self.nodes[parent].children = children;
            node = parent;
        }
        self.order = None;
    }

    pub(super) fn order(&mut self) -> Rc<[usize]> {
        if let Some(order) = &self.order {
            return Rc::clone(order);
        }
        let mut order = Vec::with_capacity(self.leaves.len());
        self.list(ROOT, &mut order);
        let order: Rc<[usize]> = order.into();
        self.order = Some(Rc::clone(&order));
        order
    }

    fn list(&self, node: usize, order: &mut Vec<usize>) {
        order.extend(self.nodes[node].role);
        for child in &self.nodes[node].children {
            self.list(*child, order);
        }
    }

    /// For the next sorter.
    pub(super) fn into_counts(self) -> BTreeMap<String, u64> {
        let nodes = self.nodes.into_iter();
        nodes
            .map(|node| (node.ranked.name, node.ranked.count))
            .collect()
    }
}

/// The roles above `role`, the highest first.
pub(in crate::local::master) fn ancestors(role: &str) -> impl Iterator<Item = &str> {
    role.match_indices('/').map(|(at, _)| &role[..at])
}

/// The frameworks that take offers under one role, in the order in which they are served.
#[derive(Debug, Default)]
pub(super) struct FrameworkSorter {
    /// Whatever index its owner gave, and the framework.
    clients: Vec<(usize, Ranked)>,
    line: Vec<usize>,
    order: Option<Rc<[usize]>>,
}

impl FrameworkSorter {
    /// Adds a framework; [`sort`](Self::sort) has to follow.
    pub(super) fn add(&mut self, index: usize, id: &str, allocated: Quantities, count: u64) {
        self.line.push(self.clients.len());
        let ranked = Ranked {
            name: id.to_owned(),
            weight: DEFAULT_WEIGHT,
            allocated,
            share: 0.0,
            count,
        };
        self.clients.push((index, ranked));
    }

    pub(super) fn sort(&mut self, total: &Quantities) {
        for (_, ranked) in &mut self.clients {
            ranked.weigh(total);
        }
        let clients = &self.clients;
        self.line
            .sort_by(|one, other| clients[*one].1.order(&clients[*other].1));
    }

    pub(super) fn allocated(&mut self, index: usize, quantities: &Quantities, total: &Quantities) {
        let Some(at) = self.clients.iter().position(|(own, _)| *own == index) else {
            return;
        };
        self.clients[at].1.allocate(quantities, total);
        let clients = &self.clients;
        put_in_place(&mut self.line, at, |one, other| {
            clients[*one].1.order(&clients[*other].1)
        });
        self.order = None;
    }

    /// The indexes that were given.
    pub(super) fn order(&mut self) -> Rc<[usize]> {
        if let Some(order) = &self.order {
            return Rc::clone(order);
        }
        let line = self.line.iter();
        let order: Rc<[usize]> = line.map(|at| self.clients[*at].0).collect();
        self.order = Some(Rc::clone(&order));
        order
    }

    /// Index and count of each.
    pub(super) fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        let clients = self.clients.iter();
        clients.map(|(index, ranked)| (*index, ranked.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Resources;

    fn of(text: &str) -> Quantities {
        Quantities::of_all(&Resources::parse(text).unwrap(), |_| true)
    }

    fn sorter(roles: &[(&str, &str)], weights: &[(&str, f64)]) -> RoleSorter {
        let held: Vec<Quantities> = roles.iter().map(|(_, held)| of(held)).collect();
        let roles = roles.iter().zip(&held);
        let roles: Vec<SortedRole> = roles
            .map(|((name, _), allocated)| SortedRole { name, allocated })
            .collect();
        let weights = weights.iter();
        let weights = weights.map(|(name, weight)| ((*name).to_owned(), *weight));
        RoleSorter::new(
            &roles,
            of("cpus:100;mem:100"),
            &weights.collect(),
            &BTreeMap::new(),
        )
    }

    #[test]
    fn the_smallest_dominant_share_comes_first() {
        let mut sorter = sorter(&[("a", "cpus:5"), ("b", "cpus:1;mem:4"), ("c", "")], &[]);
        assert_eq!(*sorter.order(), [2, 1, 0]);
        sorter.allocated(2, &of("cpus:6"));
        assert_eq!(*sorter.order(), [1, 0, 2]);
    }

    #[test]
    fn weights_divide_shares() {
        let mut sorter = sorter(&[("a", "cpus:6"), ("b", "cpus:4")], &[("a", 2.0)]);
        assert_eq!(*sorter.order(), [0, 1]);
    }

    #[test]
    fn roles_below_one_role_count_together() {
        let roles = [
            ("a", "cpus:1"),
            ("a/x", "cpus:1"),
            ("a/y", "cpus:3"),
            ("b", "cpus:4"),
        ];
        let mut sorter = sorter(&roles, &[]);
        // `b` has 4 of 100, all of `a` has 5; within `a`, `a` itself and `a/x` are level.
        assert_eq!(*sorter.order(), [3, 0, 1, 2]);
        sorter.allocated(3, &of("cpus:2"));
        assert_eq!(*sorter.order(), [0, 1, 2, 3]);
    }

    #[test]
    fn those_who_are_level_take_turns() {
        let mut sorter = sorter(&[("a", ""), ("b", "")], &[]);
        assert_eq!(*sorter.order(), [0, 1]);
        sorter.allocated(0, &Quantities::default());
        assert_eq!(*sorter.order(), [1, 0]);
        let mut frameworks = FrameworkSorter::default();
        frameworks.add(7, "x", Quantities::default(), 0);
        frameworks.add(9, "y", Quantities::default(), 0);
        let total = of("cpus:10");
        frameworks.sort(&total);
        assert_eq!(*frameworks.order(), [7, 9]);
        frameworks.allocated(7, &of("cpus:1"), &total);
        assert_eq!(*frameworks.order(), [9, 7]);
    }
}
