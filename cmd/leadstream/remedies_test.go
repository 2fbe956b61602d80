package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/schema"
)

// samples are errors of every type that says what the run loop does about it, as
// package.Type. Those that a loop never meets are named with nil.
func samples() map[string][]error {
	about := errors.New("cause")
	var refusals []error
	for _, status := range []int{400, 401, 403, 404, 409, 410, 412, 422, 426, 429, 500, 503} {
		refusals = append(refusals, &linkedin.APIError{Endpoint: "events", Status: status})
	}
	var consents []error
	for _, reason := range []oauth.Reason{oauth.NoToken, oauth.AccessExpired, oauth.AccessRevoked, oauth.AccessUnknown, oauth.AccessRefused, oauth.RefreshExpired,
		oauth.RefreshRefused, oauth.ScopesMissing, oauth.Cancelled, oauth.ScopeNotAllowed, oauth.CodeRefused, oauth.NotGiven} {
		consents = append(consents, &oauth.ConsentNeededError{Reason: reason})
	}
	return map[string][]error{
		"checkpoint.UnreadableError":       {&checkpoint.UnreadableError{Key: "k", Err: about}},
		"delivery.ForeignTopicError":       {&delivery.ForeignTopicError{Topic: "t", Name: "n"}},
		"delivery.PartitionsError":         {&delivery.PartitionsError{Topic: "t", Partitions: 3}},
		"delivery.PolicyError":             {&delivery.PolicyError{Topic: "t", Policy: "delete"}},
		"delivery.TopicRecreatedError":     {&delivery.TopicRecreatedError{Topic: "t", Leads: 3}},
		"delivery.UnreadableDeletionError": {&delivery.UnreadableDeletionError{Topic: "t", Key: "k"}},
		"kafka.AuthenticationError":        {&kafka.AuthenticationError{Broker: "b", Hint: "h", Err: about}},
		"kafka.AuthorizationError":         {&kafka.AuthorizationError{Resource: "topic", Name: "t", Operation: "Write"}, &kafka.AuthorizationError{Resource: "cluster", Operation: "Create"}},
		"kafka.CorruptError":               {&kafka.CorruptError{Topic: "t", Err: about}},
		"kafka.EpochLostError":             {&kafka.EpochLostError{TransactionalID: "i"}},
		"kafka.FencedError":                nil, // ends the process
		"kafka.GroupRefusedError":          {&kafka.GroupRefusedError{Group: "g", What: "give it another name", Err: about}},
		"kafka.RefusedError":               {&kafka.RefusedError{Op: "creating", Code: 40}},
		"kafka.TopicError":                 {&kafka.TopicError{Topic: "t", Index: -1, Code: 40}, &kafka.TopicError{Topic: "t", Index: -1, Err: kafka.ErrTopicMissing}, &kafka.TopicError{Topic: "t", Index: -1, Code: 44, Err: &kafka.SettingError{Settings: []string{"k=v"}}}},
		"kafka.UnreachableError":           {&kafka.UnreachableError{Op: "reading", Err: about}},
		"linkedin.APIError":                refusals,
		"linkedin.TimelessError":           {&linkedin.TimelessError{Endpoint: "me"}},
		"linkedin.AnswerError":             {&linkedin.AnswerError{Endpoint: "events", Status: 200, Problem: "it is empty"}},
		"linkedin.BudgetError":             {&linkedin.BudgetError{Endpoint: "events"}, &linkedin.BudgetError{Endpoint: "events", Own: 5}, &linkedin.BudgetError{Endpoint: "events", Pace: 5}, &linkedin.BudgetError{Endpoint: "events", Allowed: 5}},
		"linkedin.ScanError":               {&linkedin.ScanError{Endpoint: "events", Scans: 3}},
		"linkedin.TooManyError":            nil, // the window is cut
		"linkedin.TransportError":          {&linkedin.TransportError{Endpoint: "events", Err: about}},
		"oauth.AnswerError":                {&oauth.AnswerError{Endpoint: "accessToken", Status: 500}},
		"oauth.AppRefusedError":            {&oauth.AppRefusedError{Status: 401}},
		"oauth.ConsentNeededError":         consents,
		"oauth.FileError":                  {&oauth.FileError{Path: "f", Err: oauth.ErrCorrupt}, &oauth.FileError{Path: "f", Remedy: "run: chmod 600 f", Err: oauth.ErrFileMode}},
		"oauth.RecordError":                {&oauth.RecordError{Key: "k", Err: oauth.ErrCorrupt}, &oauth.RecordError{Key: "k", Err: oauth.ErrPassphrase}},
		"schema.AuthError":                 {&schema.AuthError{Op: "o", URL: "u", Status: 401}, &schema.AuthError{Op: "o", URL: "u", Status: 403}},
		"schema.ForeignError":              {&schema.ForeignError{Version: 1, Problem: "p"}},
		"schema.IncompatibleError":         {&schema.IncompatibleError{Subject: "s", Differences: []string{"d"}}},
		"schema.RegistryError":             {&schema.RegistryError{Op: "o", URL: "u", Err: about}, &schema.RegistryError{Op: "o", URL: "u", Status: http.StatusRequestEntityTooLarge, Err: about}},
	}
}

// TestEachErrorThatPeopleMeetSaysWhatToDoAndOnce: on the page, in the log and in the
// probe.
func TestEachErrorThatPeopleMeetSaysWhatToDoAndOnce(t *testing.T) {
	for name, list := range samples() {
		for _, err := range list {
			issues := connector.NewIssues(time.Now, nil)
			issues.Report("", "work", fmt.Errorf("working: %w", err))
			got := issues.List()[0]
			switch {
			case got.Todo == "" || fault.KindOf(err).NeedsPerson() && strings.HasPrefix(got.Todo, "fix what it names"):
				t.Errorf("%s: %q does not say what to do: %q", name, got.Text, got.Todo)
			case strings.Contains(got.Text, got.Todo):
				t.Errorf("%s: %q says twice what to do: %q", name, got.Text, got.Todo)
			case strings.HasPrefix(got.Todo, "see the status page"), strings.HasSuffix(got.Todo, "."):
				t.Errorf("%s: what to do is %q", name, got.Todo)
			}
		}
	}
}

// TestEveryKindOfErrorIsAmongTheSamples, so that a new one cannot be forgotten.
func TestEveryKindOfErrorIsAmongTheSamples(t *testing.T) {
	known := samples()
	for _, dir := range []string{"schema", "internal/checkpoint", "internal/delivery", "internal/kafka", "internal/linkedin", "internal/oauth"} {
		for _, name := range declaring(t, filepath.Join(repository, dir)) {
			if _, ok := known[filepath.Base(dir)+"."+name]; !ok {
				t.Errorf("%s.%s says what the run loop does about it, and not what a person does: add it to the samples", dir, name)
			}
		}
	}
}

// declaring are the exported types of a package that have a method Fault.
func declaring(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Fault" {
				continue
			}
			if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
				if name := star.X.(*ast.Ident); name.IsExported() {
					names = append(names, name.Name)
				}
			}
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: types %v, %v", dir, names, err)
	}
	slices.Sort(names)
	return names
}
