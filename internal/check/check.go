// Package check looks at every precondition of the connector, and says what to do
// about each that does not hold. It changes nothing.
//
// It is three kinds of tables. The preconditions are the questions in their order.
// Each subject (settings, Kafka, topics, registry, LinkedIn) has a table of what
// the answers mean. The points are what LinkedIn's documentation leaves open.
package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/schema"
)

// The results of a check.
const (
	Pass = "PASS"
	Warn = "WARN" // works, and is risky or perhaps not meant
	Fail = "FAIL" // does not work
)

// Finding is one line of "leadstream check".
type Finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // Pass, Warn or Fail
	Text   string `json:"text"`
	Todo   string `json:"todo,omitempty"`
}

// Parts are the parts of the program that are asked.
type Parts struct {
	Config   *config.Config
	Warnings []config.Warning // of the configuration
	Cluster  *kafka.Client
	Trial    *kafka.Producer // under TrialID, which no connector uses
	Registry *schema.Registry
	Session  *oauth.Session
	LinkedIn *linkedin.Client
	Store    delivery.Options
	// State reads the checkpoints.
	State func(context.Context) (checkpoint.State, error)
	// At is told what is being looked at, and how much of that is done.
	At func(what string, done, total int)
}

// TrialID is the transactional id that the check starts a producer with. The one of
// the connector would fence a connector that runs.
func TrialID(name string) string { return name + ".check" }

const (
	// Timeout bounds each question of the check: a command that ends must not wait
	// for what is away.
	Timeout = 20 * time.Second
	// eachForm is added for each form where there are as many questions as forms.
	eachForm = 100 * time.Millisecond
	// PingTimeout bounds the first question.
	PingTimeout = 10 * time.Second
)

// precondition is a row of the table: a question, when it is asked, and what it means
// that there is no answer.
type precondition struct {
	looksAt string // told to whoever waits; empty where it takes no time
	needs   func(*checker) bool
	// within bounds the question; 0 where what is asked has bounds of its own.
	within time.Duration
	ask    func(*checker, context.Context) error
	failed meaning // of the error
}

// always is for what can be asked whatever else was answered.
func always(*checker) bool { return true }

// preconditions are all of them, in the order in which one rests on another.
var preconditions = []precondition{
	{"", always, 0, (*checker).configuration, meaning{}},
	{"", always, 0, (*checker).redirect, meaning{"redirect URL", Fail, "%[1]v", "fix linkedin.redirect_url and http.listen"}},
	{"", always, 0, (*checker).tokenStore, meaning{}},
	{"reaching Kafka", always, PingTimeout, (*checker).reach,
		meaning{"kafka reachable", Fail, "%[1]v", "look at kafka.brokers, kafka.tls and kafka.sasl"}},
	{"Kafka's brokers", kafkaAnswers, Timeout, (*checker).brokers, meaning{"kafka brokers", Fail, "%[1]v", "look at kafka.brokers"}},
	{"checkpoints", kafkaAnswers, Timeout, (*checker).checkpoints, recordsUnreadable},
	{"permissions", kafkaAnswers, Timeout, (*checker).permissions, meaning{"kafka permissions", Fail, "%[1]v", "look at kafka.brokers"}},
	{"transactions", kafkaAnswers, Timeout, (*checker).transactions, meaning{"kafka transactions", Fail, "%[1]v",
		"see that Kafka's own __transaction_state has its replicas: transaction.state.log.replication.factor brokers, transaction.state.log.min.isr in sync"}},
	{"consumer group", mayUseGroup, Timeout, (*checker).group, meaning{"kafka group", Fail, "%[1]v",
		"see that Kafka's own __consumer_offsets has its replicas: offsets.topic.replication.factor brokers"}},
	{"topics", kafkaAnswers, Timeout, (*checker).topics, meaning{"topics", Fail, "%[1]v", "look at kafka.brokers"}},
	{"schema registry", always, 0, (*checker).pingRegistry, meaning{"schema registry", Fail, "%[1]v",
		"look at registry.url, registry.username, registry.password and registry.ca_file"}},
	{"", registryAnswers, 0, (*checker).mayRegister, meaning{}},
	{"", registryAnswers, 0, (*checker).schemas, meaning{"schemas", Fail, "%[1]v", asLogSays}},
	{"LinkedIn", always, 3 * Timeout, (*checker).linkedin, meaning{}},
	{"webhook", always, Timeout, (*checker).webhook, meaning{}},
}

// Run looks at everything.
func Run(ctx context.Context, parts Parts) []Finding {
	k := &checker{Parts: parts}
	for _, p := range preconditions {
		if p.looksAt != "" && p.needs(k) {
			k.At(p.looksAt, 0, 0)
		}
		k.look(ctx, p)
	}
	return k.findings
}

// look asks the question of a row, if what it needs is there.
func (k *checker) look(ctx context.Context, p precondition) {
	if !p.needs(k) {
		return
	}
	if p.within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.within+time.Duration(len(k.state.Forms))*eachForm)
		defer cancel()
	}
	if err := p.ask(k, ctx); err != nil {
		k.say(p.failed, err)
	}
}

// checker gathers findings, and keeps what later questions rest on.
type checker struct {
	Parts
	findings []Finding
	state    checkpoint.State           // what the checkpoints say; empty when they cannot be read
	away     error                      // why Kafka was not reached; nil when it was
	lacking  []kafka.AuthorizationError // the permissions that are missing
	there    map[string]kafka.TopicInfo // the topics that exist; nil when that is not known
	registry bool                       // whether the registry answers
	usable   bool                       // whether LinkedIn can be asked with the token
	answers  bool                       // whether its API has answered
	orgs     []lead.Organization
}

// meaning is a row of a subject's table: what an answer means, and what to do. All
// but the result are formats over the same arguments.
type meaning struct {
	check, result, text, todo string
}

// say makes a finding of an answer.
func (k *checker) say(m meaning, args ...any) {
	k.findings = append(k.findings, Finding{Check: fill(m.check, args), Result: m.result, Text: fill(m.text, args), Todo: fill(m.todo, args)})
}

// fill puts arguments into a format, which may use none of them.
func fill(format string, args []any) string {
	if !strings.Contains(format, "%") {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// sayError is say for an error that may know by itself what to do.
func (k *checker) sayError(m meaning, err error, args ...any) {
	if todo := fault.TodoOf(err); todo != "" {
		m.todo = strings.ReplaceAll(todo, "%", "%%")
	}
	k.say(m, append([]any{err}, args...)...)
}

// Invalid shows what is wrong with a configuration as findings.
func Invalid(err *config.InvalidError) []Finding {
	k := &checker{}
	for _, p := range err.Problems {
		k.say(settingWrong, p)
	}
	return k.findings
}

// Failed reports whether something does not work.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Result == Fail })
}

// few is a list of many that fits a line.
func few(list []string, most int) string {
	if n := len(list) - most; n > 0 {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

// todoOf is what an error says is to be done, else what is said here.
func todoOf(err error, otherwise string) string { return cmp.Or(fault.TodoOf(err), otherwise) }
