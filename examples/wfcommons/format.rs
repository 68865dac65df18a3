//! WfFormat 1.5, in which recorded workflows are published: <https://wfcommons.org/format>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

/// A file, as far as it is needed here.
#[derive(Deserialize)]
struct Document {
    workflow: Recorded,
}

#[derive(Deserialize)]
struct Recorded {
    specification: Specification,
    #[serde(default)]
    execution: Execution,
}

#[derive(Deserialize)]
struct Specification {
    tasks: Vec<Specified>,
}

#[derive(Deserialize)]
struct Specified {
    id: String,
    #[serde(default)]
    parents: Vec<String>,
    #[serde(default)]
    children: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Execution {
    #[serde(default)]
    tasks: Vec<Executed>,
}

#[derive(Deserialize)]
struct Executed {
    id: String,
    #[serde(default, rename = "runtimeInSeconds")]
    seconds: f64,
}

/// A workflow that somebody ran once.
pub(crate) struct Instance {
    /// The name of its file, without `.json`.
    pub(crate) name: String,
    pub(crate) tasks: Vec<Task>,
}

pub(crate) struct Task {
    pub(crate) id: String,
    /// Each once, whether the task lists its parent, or the parent its child, or both.
    pub(crate) parents: BTreeSet<String>,
    /// How long it ran; 0 if that was not recorded.
    pub(crate) seconds: f64,
}

impl Instance {
    /// Reads a file. What is wrong with its graph as such, such as a cycle, is found when the workflow is built.
    ///
    /// # Errors
    /// Every fault there is.
    pub(crate) fn load(file: &Path) -> Result<Self, Vec<String>> {
        let one = |fault: String| vec![fault];
        let name = file.file_stem().and_then(|stem| stem.to_str());
        let name = name.ok_or_else(|| one("the name of the file is not UTF-8".to_owned()))?.to_owned();
        let text = std::fs::read(file).map_err(|error| one(format!("the file cannot be read: {error}")))?;
        let document: Document =
            serde_json::from_slice(&text).map_err(|error| one(format!("this is not WfFormat 1.5: {error}")))?;
        let tasks = connect(document.workflow)?;
        Ok(Self { name, tasks })
    }
}

fn connect(Recorded { specification, execution }: Recorded) -> Result<Vec<Task>, Vec<String>> {
    let mut faults = Vec::new();
    if specification.tasks.is_empty() {
        faults.push("there are no tasks".to_owned());
    }
    let mut parents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for task in &specification.tasks {
        if parents.insert(&task.id, BTreeSet::new()).is_some() {
            faults.push(format!("the task id `{}` is a duplicate", task.id));
        }
    }
    for task in &specification.tasks {
        for parent in &task.parents {
            match (parents.contains_key(parent.as_str()), parents.get_mut(task.id.as_str())) {
                (true, Some(parents)) => drop(parents.insert(parent.clone())),
                _ => faults.push(format!("the task `{}` has the parent `{parent}`, which does not exist", task.id)),
            }
        }
        for child in &task.children {
            match parents.get_mut(child.as_str()) {
                Some(parents) => drop(parents.insert(task.id.clone())),
                None => faults.push(format!("the task `{}` has the child `{child}`, which does not exist", task.id)),
            }
        }
    }
    let mut seconds = BTreeMap::new();
    for task in execution.tasks {
        if task.seconds < 0.0 {
            faults.push(format!("the task `{}` has a run time below 0: {}", task.id, task.seconds));
        }
        if seconds.insert(task.id.clone(), task.seconds).is_some() {
            faults.push(format!("the task id `{}` is a duplicate among the run times", task.id));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let task = |(id, parents): (&str, _)| Task {
        id: id.to_owned(),
        parents,
        seconds: seconds.get(id).copied().unwrap_or_default(),
    };
    Ok(parents.into_iter().map(task).collect())
}
