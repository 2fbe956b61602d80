package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// page is an answer of leadFormResponses.
type page struct {
	Paging   struct{ Total int }
	Elements []element
}

// element is one lead. Source of the names: Lead Sync API, leadFormResponses.
type element struct {
	ID       string `json:"id"`
	LeadType string `json:"leadType"`
	Owner    struct {
		Organization string `json:"organization"`
	} `json:"owner"`
	Submitter        *string `json:"submitter"`
	Form             string  `json:"versionedLeadGenFormUrn"`
	SubmittedAt      int64   `json:"submittedAt"` // epoch milliseconds
	TestLead         bool    `json:"testLead"`
	AssociatedEntity struct {
		Event *string `json:"event"`
	} `json:"associatedEntity"`
	FormResponse struct {
		Answers []struct {
			QuestionID int64 `json:"questionId"`
			Details    struct {
				Text *struct {
					Answer string `json:"answer"`
				} `json:"textQuestionAnswer"`
				Choice struct {
					Options []int `json:"options"`
				} `json:"multipleChoiceAnswer"`
			} `json:"answerDetails"`
		} `json:"answers"`
		Consents []struct {
			ConsentID int  `json:"consentId"`
			Accepted  bool `json:"accepted"`
		} `json:"consentResponses"`
	} `json:"formResponse"`
}

// source is where the pages come from.
type source struct {
	http   *http.Client
	base   string // up to where a page begins
	token  string
	size   int
	buffer int // about the size of an answer
}

// newSource reads the leads that an organization got in the year before now.
func newSource(api, organization, token string, concurrency int, now time.Time) *source {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = concurrency
	return &source{
		http: &http.Client{Transport: t, Timeout: 30 * time.Second}, token: token, size: 100, buffer: 128 << 10,
		base: fmt.Sprintf("%s/rest/leadFormResponses?q=owner&owner=(organization:%s)&leadType=(leadType:EVENT)&submittedAtTimeRange=(start:%d,end:%d)",
			api, url.QueryEscape(organization), now.Add(-365*24*time.Hour).UnixMilli(), now.UnixMilli()),
	}
}

// read reads page n.
func (s *source) read(ctx context.Context, n int) (*page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s&start=%d&count=%d", s.base, n*s.size, s.size), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for page %d: %w", n, err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("LinkedIn-Version", "202607")
	r.Header.Set("X-Restli-Protocol-Version", "2.0.0")
	answer, err := s.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for page %d: %w", n, err)
	}
	defer func() { _ = answer.Body.Close() }() // read to its end, or given up
	body := bytes.NewBuffer(make([]byte, 0, s.buffer))
	if _, err := body.ReadFrom(answer.Body); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", n, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for page %d: LinkedIn answered %s", n, answer.Status)
	}
	var p page
	if err := json.Unmarshal(body.Bytes(), &p); err != nil {
		return nil, fmt.Errorf("decoding page %d: %w", n, err)
	}
	return &p, nil
}
