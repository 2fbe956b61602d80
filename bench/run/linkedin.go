package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"leadstream/internal/linkedinsim"
)

// linkedin is a simulated LinkedIn that runs as a process.
type linkedin struct {
	*process
	url          string
	organization string
	token        string // file with the tokens of a consent
}

// newLinkedIn starts one. The same number of forms gives the same forms,
// whatever the number of leads.
func (b *bench) newLinkedIn(ctx context.Context, forms, leads int) (*linkedin, error) {
	b.worlds++
	l := &linkedin{token: filepath.Join(b.dir, "token-"+strconv.Itoa(b.worlds))}
	var err error
	l.process, err = b.launch(ctx, nil, b.leadstream, "simulate", "--listen", "127.0.0.1:0", "--token-file", l.token,
		"--organizations", "1", "--events", strconv.Itoa(forms), "--forms", strconv.Itoa(forms),
		"--leads", strconv.Itoa(leads), "--rate", "0", "--seed", "1", "--local-webhooks")
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); l.url == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the simulated LinkedIn does not come up: %s", l.output.String())
		}
		l.url = addressIn(l.output.String())
	}
	var d linkedinsim.Description
	if err := l.control(ctx, http.MethodGet, "", nil, &d); err != nil {
		return nil, err
	}
	l.organization = d.Organizations[0].URN
	return l, nil
}

// addressIn finds the address in what the simulator prints once it serves.
func addressIn(output string) string {
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "api_url:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// control asks the simulator's control API.
func (l *linkedin) control(ctx context.Context, method, path string, body, into any) error {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return fmt.Errorf("asking the simulator: %w", err)
		}
	}
	return ask(ctx, method, l.url+"/sim"+path, &text, into)
}

// ask makes a request with a JSON body and reads a JSON answer.
func ask(ctx context.Context, method, url string, body io.Reader, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	defer func() { _ = answer.Body.Close() }() // read to its end below
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("asking %s: %s: %s", url, answer.Status, text)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	return nil
}

// slow makes every answer of the API late by d; 0 ends that.
func (l *linkedin) slow(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return l.control(ctx, http.MethodDelete, "/faults", nil, nil)
	}
	return l.control(ctx, http.MethodPost, "/faults", map[string]any{"kind": "latency", "latency": d.String(), "count": -1}, nil)
}

// accessToken is one for a program that does no consent of its own.
func (l *linkedin) accessToken(ctx context.Context) (string, error) {
	var t struct {
		AccessToken string `json:"access_token"`
	}
	err := l.control(ctx, http.MethodPost, "/tokens", struct{}{}, &t)
	return t.AccessToken, err
}
