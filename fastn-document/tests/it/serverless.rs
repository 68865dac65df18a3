//! Documents of Serverless Workflow, and what is wrong with them.

use fastn_document::{Document, FaultKind};

/// A line for each thing that must be said, and some that need not.
const CLINIC: &str = r#"document:
  dsl: '1.0.0'
  namespace: clinic
  name: checkups
  version: '1.2.3'
input:
  from: .
do:
  - ask:
      call: http
      with:
        method: get
        endpoint: https://clinic.example/pets/{id}
        query: { size: "${ .size }", q: a b }
  - each:
      for:
        in: .pets
        each: pet
        at: i
      while: .vet != null
      do:
        - note: { set: { pets: "${ .pets }", last: "${ $pet.name }" } }
  - pick:
      switch:
        - some: { when: .last != null, then: tell }
        - none: { then: end }
  - tell:
      run:
        workflow:
          name: letters
          version: '0.1.0'
          input: { to: "${ $context }" }
      output:
        as: .sent
timeout:
  after: { hours: 1, minutes: 30 }
"#;

/// What may be left out.
const NEEDLESS: [&str; 14] = [
    "input:",
    "from:",
    "query:",
    "each:",
    "at:",
    "while:",
    "output:",
    "as:",
    "timeout:",
    "input: {",
    "- none:",
    "- some:",
    "- note:",
    "version: '0.1.0'",
];

#[test]
fn a_document_is_read_with_its_name_and_its_version_as_a_number() {
    let document = Document::read("clinic.yaml", CLINIC).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((document.name(), document.version().0), ("checkups", 1_002_003));
}

#[test]
fn whatever_must_be_said_and_is_not_is_missed_where_it_should_be() {
    let lines: Vec<&str> = CLINIC.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut missed = 0;
    for (at, line) in lines.iter().enumerate() {
        // With all that stands under it.
        let under = lines[at + 1..].iter().take_while(|other| indent(other) > indent(line)).count();
        let rest: Vec<&str> = lines[..at].iter().chain(&lines[at + 1 + under..]).copied().collect();
        let said = line.trim_start();
        if said.starts_with("- ") || NEEDLESS.iter().any(|key| said.starts_with(key)) {
            continue;
        }
        let faults = match Document::read("clinic.yaml", &rest.join("\n")) {
            Ok(_) => panic!("without {said:?} nothing is missed"),
            Err(faults) => faults,
        };
        let near = |line: usize| line + 8 > at && line <= at + 2;
        let found = faults.faults.iter().any(|fault| fault.kind != FaultKind::Plan && near(fault.place.line));
        assert!(found, "without {said:?} in line {}:\n{faults}", at + 1);
        missed += 1;
    }
    assert!(missed > 14, "{missed}");
}

#[test]
fn what_is_not_yet_supported_and_what_is_misspelt_are_named_with_their_places() {
    let faults = |from: &str, to: &str| {
        assert!(CLINIC.contains(from), "{from}");
        Document::read("clinic.yaml", &CLINIC.replace(from, to)).unwrap_err().to_string()
    };
    let told = [
        faults("call: http", "call: grpc"),
        faults("then: tell", "then: tel"),
        faults("then: tell", "then: ask"),
        faults(".last != null", ".last !! null"),
        faults("dsl: '1.0.0'", "dsl: '2.0.0'"),
        faults("version: '1.2.3'", "version: one"),
        faults("      while: .vet", "      catch: .vet"),
        faults("hours: 1", "hours: 1.5"),
        faults("{id}", "{id"),
        faults("each: pet", "each: a-b"),
        faults("  dsl: '1.0.0'\n", ""),
    ];
    expect_test::expect![[r#"
        clinic.yaml:10:13: only `call: http` is supported yet
        clinic.yaml:25:46: there is no task `tel`; did you mean `tell`?
        clinic.yaml:9:5: to go back to the task `ask` is not supported: `for` and `while` repeat
        clinic.yaml:25:31: here should be nothing
        clinic.yaml:2:8: the versions 1.0 of the language are supported, and no others
        clinic.yaml:5:12: `version` is a semantic version, such as '1.0.0'
        clinic.yaml:20:7: `catch` is not yet supported here
        clinic.yaml:36:19: `hours` is a whole number
        clinic.yaml:13:19: a variable of the endpoint is not closed by `}`
        clinic.yaml:18:15: a variable has a name of letters, digits and `_`
        clinic.yaml:2:3: `document` needs `dsl`"#]]
    .assert_eq(&told.join("\n"));
}
