//! Scopes and nodes.

use std::collections::HashMap;
use std::sync::Arc;

use fastn_core::plan::{DraftHandler, DraftKind, DraftNode, DraftScope, DraftSource, Limits as PlanLimits, WorkIx};
use fastn_core::{Definition, Draft, Functions, Payload, Retry, StepFn, StepPolicy, Version};
use serde_json::Value as Json;

use super::blame::blame;
use super::code::code;
use super::names::{Names, last};
use super::work::{Choose, Decide, Instead, Made, NoWork, Prepared, Transform};
use crate::fault::{FaultKind, Found};
use crate::jq::Plain;
use crate::limits::Limits;
use crate::model::{Arm, At, Catch, Chooser, Flow, Kind, Node, OnError, Scope};
use crate::place::Span;
use crate::read::beginning;
use crate::suggest::meant;
use crate::tasks::Tasks;
use crate::template::Template;

/// Makes a definition of a flow. `None` if there are faults.
pub(crate) fn build(flow: &Flow, tasks: &Tasks, limits: &Limits, found: &mut Found) -> Option<Definition> {
    let mut builder = Builder { tasks, limits, found, functions: Vec::new(), places: HashMap::new() };
    let root = builder.scope(&flow.root, "", &Names::none());
    let Builder { functions, places, found, .. } = builder;
    if !found.is_empty() {
        return None;
    }
    let draft = Draft {
        name: flow.name.it.clone(),
        version: Version(flow.version),
        deadline: flow.deadline,
        requires: flow.requires.iter().map(|tag| tag.it.clone()).collect(),
        root,
    };
    // Each node may have one before it and each scope one behind it.
    match draft.check_within(PlanLimits::default().nodes(limits.nodes.saturating_mul(4))) {
        Ok(plan) => Some(Definition::new(plan, functions)),
        Err(faults) => {
            blame(faults, &places, flow, found);
            None
        }
    }
}

struct Builder<'a> {
    tasks: &'a Tasks,
    limits: &'a Limits,
    found: &'a mut Found,
    functions: Vec<Functions>,
    /// Where the node of a path stands.
    places: HashMap<String, Span>,
}

/// What a node takes, and how.
#[derive(Default)]
struct Wires<'a> {
    inputs: Vec<DraftSource>,
    /// The template that the node itself evaluates.
    prepared: Option<&'a Template>,
}

impl Builder<'_> {
    fn scope<'a>(&mut self, scope: &'a Scope, prefix: &str, around: &Names<'a>) -> DraftScope {
        let names = Names::of(scope, around);
        let mut draft = DraftScope::default();
        for node in &scope.nodes {
            names.check_node(node, self.found);
            let path = format!("{prefix}{}", beginning(&node.name.it));
            // A fault of the plan may name the node without its path.
            self.places.entry(node.name.it.clone()).or_insert(node.name.span);
            self.places.insert(path.clone(), node.name.span);
            let made = self.node(node, &path, &names, &mut draft.nodes);
            draft.nodes.push(made);
        }
        draft.output = self.output(scope, prefix, &names, &mut draft.nodes);
        draft
    }

    fn output(
        &mut self,
        scope: &Scope,
        prefix: &str,
        names: &Names<'_>,
        nodes: &mut Vec<DraftNode>,
    ) -> Option<DraftSource> {
        let Some(template) = &scope.gives else {
            if scope.names.is_empty() {
                return Some(DraftSource::Input);
            }
            let only = last(scope).map(|name| DraftSource::Node(name.to_owned()));
            if only.is_none() && scope.names.len() == scope.nodes.len() {
                let message =
                    "it is not clear what this gives: several nodes are taken by no other; say it with `gives`";
                self.found.add(FaultKind::Missing, scope.span, message);
            }
            return only;
        };
        names.check_template(template, self.found);
        if template.error {
            self.found.add(FaultKind::Expression, template.span, "there is an `$error` only in `on_error`");
        }
        self.places.insert(format!("{prefix}(gives)"), template.span);
        Some(self.wire(template, || "(gives)".to_owned(), nodes))
    }

    /// Where a value comes from: a node of its own, if it must be made.
    fn wire(&mut self, template: &Template, name: impl FnOnce() -> String, nodes: &mut Vec<DraftNode>) -> DraftSource {
        if let Some(text) = &template.text {
            return DraftSource::Constant(Payload::json(text.clone()));
        }
        match template.plain() {
            Some(Plain::Input) => DraftSource::Input,
            Some(Plain::Node(node)) => DraftSource::Node(node.clone()),
            None => {
                let node = self.transform(name(), template);
                let source = DraftSource::Node(node.name.clone());
                nodes.push(node);
                source
            }
        }
    }

    fn transform(&mut self, name: String, template: &Template) -> DraftNode {
        let work = Transform(self.made(template));
        DraftNode {
            inputs: taken(template),
            work: self.keep(Arc::new(work), None, None),
            code: Some(Json::from_iter([("transform", template.source.clone())]).to_string()),
            ..DraftNode::new(name, DraftKind::Step)
        }
    }

    fn made(&self, template: &Template) -> Made {
        Made { template: template.clone(), fuel: self.limits.fuel }
    }

    fn node<'a>(&mut self, node: &'a Node, path: &str, names: &Names<'a>, nodes: &mut Vec<DraftNode>) -> DraftNode {
        let wires = self.wires(node, nodes);
        let work = self.work(node, wires.prepared);
        let kind = match &node.kind {
            Kind::Task { .. } | Kind::Transform(_) => DraftKind::Step,
            Kind::Call(action) => DraftKind::Call(action.clone()),
            Kind::Wait { signal, .. } => DraftKind::Wait(signal.clone()),
            Kind::Sleep(span) => DraftKind::Sleep(*span),
            Kind::Run(child) => DraftKind::Run(child.clone()),
            Kind::Switch { arms, .. } => DraftKind::When(self.arms(arms, path, names)),
            Kind::Race { arms, join } => DraftKind::Race { arms: self.arms(arms, path, names), join: *join },
            Kind::Fail(kind) => DraftKind::Fail(kind.clone()),
            Kind::Try { body, handlers, finally } => {
                let body = self.scope(body, &format!("{path}/"), names);
                let mut drafts = Vec::with_capacity(handlers.len());
                for Catch { label, kinds, scope } in handlers {
                    let (label, scope) = self.arm(label, scope, path, names);
                    drafts.push(DraftHandler { label, kinds: kinds.clone(), scope });
                }
                let retry = |(_, retry): &(_, Option<Retry>)| retry.clone().unwrap_or_else(StepPolicy::default_undo);
                DraftKind::Try { body, handlers: drafts, finally: finally.as_ref().map(retry) }
            }
            Kind::Each { at_most, tolerance, body } => {
                let body = self.scope(body, &format!("{path}/"), names);
                DraftKind::Each { body, concurrency: *at_most, tolerance: *tolerance }
            }
            Kind::Repeat { at_most, body, .. } => {
                DraftKind::Repeat { body: self.scope(body, &format!("{path}/"), names), most: *at_most }
            }
        };
        let undo = node.policy.undo.as_ref().and_then(|(task, _)| self.task(task));
        let on_error = match &node.policy.on_error {
            Some(OnError::Task(task)) => self.task(task),
            Some(OnError::Gives(template)) => {
                let given = wires.prepared.map(|template| self.made(template));
                Some(Arc::new(Instead { made: self.made(template), given }) as Arc<dyn StepFn>)
            }
            None => None,
        };
        let functions = match work {
            Some(work) => self.keep(work, undo, on_error),
            None if undo.is_some() || on_error.is_some() => self.keep(Arc::new(NoWork), undo, on_error),
            None => None,
        };
        DraftNode {
            inputs: wires.inputs,
            after: node.needs.iter().map(|need| need.it.clone()).collect(),
            policy: policy(node),
            work: functions,
            code: code(node, path, wires.prepared),
            position: node.position,
            ..DraftNode::new(node.name.it.clone(), kind)
        }
    }

    fn arms<'a>(&mut self, arms: &'a [Arm], path: &str, names: &Names<'a>) -> Vec<(String, DraftScope)> {
        arms.iter().map(|arm| self.arm(&arm.label, &arm.scope, path, names)).collect()
    }

    /// A scope of a node that has several, each with its label.
    fn arm<'a>(&mut self, label: &str, scope: &'a Scope, path: &str, names: &Names<'a>) -> (String, DraftScope) {
        let prefix = format!("{path}.{}", beginning(label));
        self.places.insert(prefix.clone(), scope.span);
        (label.to_owned(), self.scope(scope, &format!("{prefix}/"), names))
    }

    fn wires<'a>(&mut self, node: &'a Node, nodes: &mut Vec<DraftNode>) -> Wires<'a> {
        let before = || format!("{} (in)", node.name.it);
        match (&node.kind, &node.input) {
            (Kind::Task { args: Some(args), .. } | Kind::Wait { args: Some(args), .. }, _) => {
                let inputs = args.iter().map(|arg| self.wire(arg, before, nodes)).collect();
                Wires { inputs, prepared: None }
            }
            (Kind::Wait { .. }, _) => Wires::default(),
            (Kind::Transform(template), _) => Wires { inputs: taken(template), prepared: None },
            (_, None) => Wires { inputs: vec![DraftSource::Input], prepared: None },
            // A task makes what it is given by itself, which saves a step.
            (Kind::Task { .. }, Some(template)) if template.constant().is_none() && template.plain().is_none() => {
                Wires { inputs: taken(template), prepared: Some(template) }
            }
            (_, Some(template)) => Wires { inputs: vec![self.wire(template, before, nodes)], prepared: None },
        }
    }

    fn work(&mut self, node: &Node, prepared: Option<&Template>) -> Option<Arc<dyn StepFn>> {
        match &node.kind {
            Kind::Task { task, .. } => {
                let function = self.task(task)?;
                Some(match prepared {
                    Some(template) => Arc::new(Prepared { made: self.made(template), function }),
                    None => function,
                })
            }
            Kind::Transform(template) => Some(Arc::new(Transform(self.made(template)))),
            Kind::Switch { by: Chooser::Expressions { tests, .. }, .. } => {
                Some(Arc::new(Choose(tests.iter().map(|test| self.made(test)).collect())))
            }
            Kind::Repeat { by: Chooser::Expressions { tests, until }, .. } => {
                let made = self.made(tests.first()?);
                Some(Arc::new(Decide { made, until: *until }))
            }
            Kind::Switch { by: Chooser::Task(task), .. } | Kind::Repeat { by: Chooser::Task(task), .. } => {
                self.task(task)
            }
            Kind::Try { finally: Some((task, _)), .. } => self.task(task),
            Kind::Call(_)
            | Kind::Each { .. }
            | Kind::Try { .. }
            | Kind::Race { .. }
            | Kind::Wait { .. }
            | Kind::Sleep(_)
            | Kind::Run(_)
            | Kind::Fail(_) => None,
        }
    }

    fn task(&mut self, task: &At<String>) -> Option<Arc<dyn StepFn>> {
        let function = self.tasks.find(&task.it);
        if function.is_none() {
            let shown: String = task.it.chars().take(80).collect();
            let help = meant(&task.it, self.tasks.names());
            self.found.add_with(FaultKind::Unknown, task.span, format!("there is no task `{shown}`"), help);
        }
        function
    }

    fn keep(
        &mut self,
        work: Arc<dyn StepFn>,
        undo: Option<Arc<dyn StepFn>>,
        on_error: Option<Arc<dyn StepFn>>,
    ) -> Option<WorkIx> {
        let ix = u32::try_from(self.functions.len()).ok().map(WorkIx);
        self.functions.push(Functions { work, undo, on_error });
        ix
    }
}

/// What a template takes: the input of its scope, then what nodes gave, by their names.
fn taken(template: &Template) -> Vec<DraftSource> {
    let nodes = template.nodes.keys().map(|name| DraftSource::Node(name.clone()));
    std::iter::once(DraftSource::Input).chain(nodes).collect()
}

fn policy(node: &Node) -> StepPolicy {
    let said = &node.policy;
    StepPolicy {
        retry: said.retry.clone().unwrap_or_default(),
        within: said.within,
        deadline: said.deadline,
        durability: said.durability,
        undo: said.undo.as_ref().map(|(_, retry)| retry.clone().unwrap_or_else(StepPolicy::default_undo)),
        on_error: said.on_error.is_some(),
    }
}
