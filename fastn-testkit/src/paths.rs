//! Paths of nodes.

/// The path of an instance as that of its node, and the items in it.
pub(crate) fn address(path: &str) -> (String, Vec<u32>) {
    let (mut node, mut items) = (String::new(), Vec::new());
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                node.push(c);
                node.extend(rest.next());
            }
            '[' => items.extend(rest.by_ref().take_while(|c| *c != ']').collect::<String>().parse::<u32>()),
            c => node.push(c),
        }
    }
    (node, items)
}
