//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// linkedin is the simulated LinkedIn, a process of its own.
type linkedin struct {
	t         testing.TB
	url       string
	token     string // file of the tokens, when the consent was given at the start
	malformed int    // leads made that can be no records
}

// submission is what LinkedIn's ledger says of one lead.
type submission struct {
	ID          string `json:"id"`
	SubmittedAt int64  `json:"submittedAt"` // epoch milliseconds
	Owner       string `json:"owner"`
	LeadType    string `json:"leadType"`
	Event       string `json:"event"`
	FormID      string `json:"formId"`
	FormVersion int    `json:"formVersion"`
	TestLead    bool   `json:"testLead"`
	Submitter   string `json:"submitter"`
	Answers     []struct {
		QuestionID  int64    `json:"questionId"`
		Text        string   `json:"text"`
		Options     []int    `json:"options"`
		OptionTexts []string `json:"optionTexts"`
	} `json:"answers"`
	Consents []struct {
		ConsentID int  `json:"consentId"`
		Accepted  bool `json:"accepted"`
	} `json:"consents"`
	Malformed  string `json:"malformed"`
	Deleted    bool   `json:"deleted"` // the member has left the event
	DeletedAt  int64  `json:"deletedAt"`
	Superseded bool   `json:"superseded"` // the same id was submitted again later
}

// identity is a lead's: id and time of submission.
type identity struct {
	id string
	at int64
}

func (s *submission) identity() identity { return identity{s.ID, s.SubmittedAt} }

// secrets are what no log may hold.
const clientID, clientSecret = "86simclient0001", "sim-client-secret-0001"

// startLinkedIn starts a world of the given size. With consent, the member has
// allowed the access already.
func startLinkedIn(t testing.TB, dir string, consent bool, flags ...string) *linkedin {
	t.Helper()
	address := freeAddress(t)
	l := &linkedin{t: t, url: "http://" + address}
	args := append([]string{stack.binary, "simulate", "--listen", address, "--rate", "0"}, flags...)
	if consent {
		l.token = filepath.Join(dir, "token")
		args = append(args, "--token-file", l.token)
	}
	p := launch(t, dir, "linkedin", map[string]string{"LEADSTREAM_LOG_LEVEL": "debug"}, nil, args...)
	eventually(t, 20*time.Second, func() error {
		if !p.running() {
			t.Fatalf("the simulated LinkedIn ended: %s", p.text())
		}
		_, err := get(l.url + "/sim")
		return err
	})
	return l
}

// control posts to the control API and decodes the answer.
func (l *linkedin) control(path string, request, answer any) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	res, err := http.Post(l.url+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	b, err := body(res)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(b, answer)
}

type object = map[string]any

// post is control for what answers nothing of interest.
func (l *linkedin) post(path string, request object) {
	l.t.Helper()
	if err := l.control(path, request, nil); err != nil {
		l.t.Fatal(err)
	}
}

// goWrong schedules a fault.
func (l *linkedin) goWrong(fault object) {
	l.t.Helper()
	l.post("/sim/faults", fault)
}

// fix forgets all faults.
func (l *linkedin) wellAgain() {
	l.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, l.url+"/sim/faults", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = body(res)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// submit has members submit leads and gives what the ledger says of them.
func (l *linkedin) submit(spec object) []submission {
	l.t.Helper()
	var made []submission
	if err := l.control("/sim/leads", spec, &made); err != nil {
		l.t.Fatal(err)
	}
	return made
}

// spoil submits leads with a defect that keeps them from becoming records.
func (l *linkedin) spoil(defect string) {
	l.t.Helper()
	l.malformed += len(l.submit(object{"malformed": defect}))
}

// leads is how many leads there should be as records.
func (l *linkedin) leads() int {
	l.t.Helper()
	b, err := get(l.url + "/sim")
	var about struct {
		Leads int `json:"leads"`
	}
	if err == nil {
		err = json.Unmarshal(b, &about)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return about.Leads - l.malformed
}

// ledger is every lead ever submitted.
func (l *linkedin) ledger() []submission {
	l.t.Helper()
	res, err := http.Get(l.url + "/sim/ledger")
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to the end
	var all []submission
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var s submission
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			l.t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := lines.Err(); err != nil {
		l.t.Fatal(err)
	}
	return all
}

// hidden are the hidden fields of a form, read as any client of LinkedIn would.
func (l *linkedin) hidden(form string) map[string]string {
	l.t.Helper()
	var token struct {
		Access string `json:"access_token"`
	}
	scopes := object{"scopes": []string{"r_marketing_leadgen_automation", "r_events", "r_organization_admin"}}
	if err := l.control("/sim/tokens", scopes, &token); err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, l.url+"/rest/leadForms/"+form, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Access)
	req.Header.Set("LinkedIn-Version", "202607")
	req.Header.Set("X-Restli-Protocol-Version", "2.0.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	b, err := body(res)
	if err != nil {
		l.t.Fatal(err)
	}
	var read struct {
		HiddenFields []struct{ Name, Value string } `json:"hiddenFields"`
	}
	if err := json.Unmarshal(b, &read); err != nil {
		l.t.Fatal(err)
	}
	fields := map[string]string{}
	for _, f := range read.HiddenFields {
		fields[f.Name] = f.Value
	}
	return fields
}

// stream has members submit leads without a pause, until stop is called; it
// gives how many there were.
func (l *linkedin) stream(each int, pause time.Duration) (stop func() int) {
	quit, done, made := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(pause):
			}
			if err := l.control("/sim/leads", object{"count": each}, nil); err != nil {
				l.t.Errorf("submitting leads: %v", err)
				return
			}
			made += each
		}
	}()
	end := sync.OnceFunc(func() {
		close(quit)
		<-done
	})
	l.t.Cleanup(end) // before the simulated LinkedIn ends
	return func() int {
		end()
		return made
	}
}

// forms are the forms that the ledger names.
func forms(all []submission) []string {
	var ids []string
	for i := range all {
		if !slices.Contains(ids, all[i].FormID) {
			ids = append(ids, all[i].FormID)
		}
	}
	return ids
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }

func describe(s *submission) string {
	return fmt.Sprintf("lead %s of form %s submitted at %s", s.ID, s.FormID, time.UnixMilli(s.SubmittedAt).UTC().Format(time.RFC3339Nano))
}
