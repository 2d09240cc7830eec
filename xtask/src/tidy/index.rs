//! The index of the documents names each of them once.

const INDEX: &str = "docs/README.md";

/// The documents that were seen, and their index.
#[derive(Default)]
pub(crate) struct Index {
    documents: Vec<String>,
    text: String,
}

impl Index {
    /// Looks at one more file.
    pub(crate) fn read(&mut self, name: &str, text: &str) {
        if name == INDEX {
            text.clone_into(&mut self.text);
        } else if let Some(document) = name.strip_prefix("docs/").filter(|document| document.ends_with(".md")) {
            self.documents.push(document.to_owned());
        }
    }

    /// What is wrong, once all files were looked at.
    pub(crate) fn problems(&self) -> Vec<String> {
        let times = |document: &str| self.text.matches(&format!("]({document})")).count();
        let wrong = self.documents.iter().map(|document| (document, times(document))).filter(|(_, times)| *times != 1);
        wrong.map(|(document, times)| format!("{INDEX}: {document} is named {times} times, and is to be once")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_missing_or_named_twice_is_told() {
        let mut index = Index::default();
        for name in ["docs/a.md", "docs/b.md", "docs/c.md", "README.md"] {
            index.read(name, "");
        }
        index.read(INDEX, "| [a.md](a.md) |\n| [b.md](b.md) | [b.md](b.md) |");
        let problems = index.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("b.md is named 2 times") && problems[1].contains("c.md is named 0 times"));
    }
}
