// Package schema turns lead forms into Avro: it names and types a column for
// every field of a form, keeps those names for ever, registers the schema and
// encodes leads with it.
//
// Fields is the memory of one form: every field any version of it ever had.
// Its Schema is what stands in the registry, a Codec compiled from it turns
// responses into Kafka record values, and Registry speaks to any registry
// with the Confluent API. Fields is plain data for one goroutine at a time;
// Codec and Registry are safe for concurrent use.
//
// # The schema of a form
//
// A record Lead in the namespace linkedin.form_<form id>, flat, one column
// per field: first the fixed ones (see Fixed), then the form's own in the
// order in which they were first met. Every column of a form is nullable with
// default null, so that each schema can read whatever an earlier or a later
// one of the form wrote. Columns are never removed.
//
// The columns of a form carry properties, all of them strings, by which the
// memory can be rebuilt from the registry alone (Parse):
//
//	linkedin.questionId       questions: the number that answers refer to
//	linkedin.consentId        consents: the consent's number
//	linkedin.hiddenField      hidden fields: the name on the form, as it is
//	linkedin.occurrence       hidden fields: "2" for the second of that name, and so on
//	linkedin.kind             questions: text or choice
//	linkedin.predefinedField  questions with one: FIRST_NAME, …
//	linkedin.options          choice questions: a JSON object, option id to text
//	linkedin.hiddenValue      hidden fields: the value the form attaches to leads
//	linkedin.formVersion      the form version that doc and these properties come from
//
// and the record says how multiple choice is written:
//
//	linkedin.multipleChoice   array or joined
//
// linkedin.formVersion moves only when something else in the schema changes
// too: an edit on LinkedIn that touches no field registers nothing.
//
// # Names
//
// A question with a predefined field is named after it in lower case. Any
// other question is named by its text, transliterated to ASCII, at most 48
// characters, q_ before a leading digit, question_<id> when nothing is left.
// A consent is consent_<id>, a hidden field hidden_<its name> or, without a
// usable name, hidden_<position> counted from 1. Of two names that clash the
// later gets _<question id> (consents their id, hidden fields their
// position), and should that be taken too, _2, _3 and so on behind it.
package schema
