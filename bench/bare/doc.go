// Command bare is what leadstream is measured against: a program as somebody
// would write it in an afternoon. It reads the same pages of leads with the same
// number of requests at once, and writes them with kafka-go as Avro, as fast as
// that goes without giving anything up that it has.
//
// It has no guarantee whatever. It keeps no progress, so that it starts over
// when it dies; it looks at no topic, so that starting over repeats every lead;
// it does not notice rows that move between pages; it knows no forms, so that
// answers go out under the numbers of their questions, in one schema for all;
// and a lead that it cannot read ends it.
//
// It uses none of our packages. The token is in the environment variable
// BARE_TOKEN; topics and schema are there before it starts.
package main
