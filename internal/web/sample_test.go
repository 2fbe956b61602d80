package web

import (
	"fmt"
	"time"
)

// noon is the sample's clock.
var noon = time.Date(2026, 11, 23, 12, 20, 30, 0, time.UTC)

const (
	alpen = "urn:li:organization:5509810"
	nord  = "urn:li:organization:7731284"
)

// sampleView is an installation in full work, in which nothing is wrong.
func sampleView() View {
	v := View{
		Name: "marketing", Version: "1.4.0", Time: noon,
		Process: Process{ID: "leads-7c9d-x2k4p", Active: true, Since: noon.Add(-52 * time.Hour), Started: noon.Add(-53 * time.Hour)},
		Connection: Connection{State: OK, Stored: true, Refreshable: true, AuthorizedAt: noon.Add(-12 * day),
			AccessExpiresAt: noon.Add(48 * day), RefreshExpiresAt: noon.Add(353 * day), CheckedAt: noon.Add(-4 * time.Minute),
			Scopes: []string{"r_marketing_leadgen_automation", "r_events", "r_organization_admin"}},
		Organizations: []Organization{
			{URN: alpen, Name: "Alpenblick Seminare", Roles: []string{"ADMINISTRATOR"}, Access: OK},
			{URN: nord, Name: "Nordwind Analytics", Roles: []string{"CONTENT_ADMINISTRATOR", "ANALYST"}, Access: OK},
		},
		Sources: []Source{
			{Owner: alpen, LeadType: "EVENT", State: OK, Live: noon.Add(-34 * time.Second), LastSuccess: noon.Add(-31 * time.Second), LagSeconds: 34},
			{Owner: nord, LeadType: "EVENT", State: OK, Live: noon.Add(-12 * time.Second), LastSuccess: noon.Add(-9 * time.Second), LagSeconds: 12, Notified: true},
		},
		Latency:     Latency{P50Seconds: 0.62, P99Seconds: 1.34, Leads: 812},
		DeadLetters: DeadLetters{Topic: "marketing.deadletters"},
		Budget: Budget{Resets: noon.Truncate(day).Add(day), Endpoints: []Endpoint{
			{Name: "leadFormResponses", Used: 1480, Limit: 5000}, {Name: "leadForms", Used: 96}, {Name: "events", Used: 48}}},
		Tasks: []Task{{Kind: "backfill", Name: "Alpenblick Seminare", From: noon.Add(-365 * day), To: noon.Add(-2 * day), Ratio: 0.634, Leads: 48211}},
	}
	for i, name := range []string{"Frühjahrstagung: Anmeldung", "Webinar registration", "Product tour"} {
		v.Forms = append(v.Forms, Form{ID: fmt.Sprint(3000 + i), Name: name, Owner: []string{alpen, nord, nord}[i],
			Events: [][]string{{"Frühjahrstagung 2027"}, {"Webinar: Forecasting with little data", "Webinar: Encore"}, nil}[i],
			Topic:  fmt.Sprintf("linkedin.leads.%d", 3000+i), SchemaID: 41 + i, SchemaVersion: 1 + i, Fields: 19 + i,
			Leads: int64(18211 * (i + 1)), LastLead: noon.Add(-time.Duration(i*i*50+3) * time.Minute), LagSeconds: 34, State: OK})
	}
	for i := range hoursShown {
		v.Hours = append(v.Hours, Hour{Start: noon.Truncate(time.Hour).Add(time.Duration(i-hoursShown+1) * time.Hour), Leads: int64((i*i*7 + i*13) % 97)})
	}
	return v
}

// troubledView is one in which much is wrong.
func troubledView() View {
	v := sampleView()
	v.Connection.RefreshExpiresAt = noon.Add(6 * day)
	v.Connection.State, v.Connection.Note = Warning, "the refresh token ends on 29 November 2026: reconnect before"
	v.Organizations[1].Access, v.Organizations[1].Roles = Failing, []string{"ANALYST"}
	v.Organizations[1].Problem = "the role ADMINISTRATOR or CONTENT_ADMINISTRATOR is missing"
	v.Organizations[1].Todo = "have an administrator of the LinkedIn page give it under Admin tools, Manage admins"
	v.Sources[1].State, v.Sources[1].LagSeconds, v.Sources[1].LastSuccess = Failing, 8040, noon.Add(-134*time.Minute)
	v.Sources[1].Problem = "LinkedIn answered 403 ACCESS_DENIED"
	v.Forms[1].State, v.Forms[1].Label, v.Forms[1].Waiting, v.Forms[1].LagSeconds = Failing, "Suspended", true, 8040
	v.Forms[1].Problem = "the subject linkedin.leads.3001-value holds a schema that readers of the new one cannot read: field `email` was removed"
	v.Forms[1].Todo = "see `leadstream schema diff 3001`, then delete or rename the foreign subject"
	v.DeadLetters.Total, v.DeadLetters.Last = 3, noon.Add(-40*time.Minute)
	v.DeadLetters.Reasons = []Reason{{Name: "unreadable response", Count: 2}, {Name: "record too large", Count: 1}}
	v.Budget.Paced, v.Budget.Note = true, "LinkedIn's daily limit was met yesterday after 5,120 calls: today is paced to 4,608"
	v.Budget.Endpoints[0].Used, v.Budget.Endpoints[0].Limit, v.Budget.Endpoints[0].Throttled = 4310, 4608, 2
	v.Tasks = append(v.Tasks, Task{Kind: "replay", Name: "7d", From: noon.Add(-7 * day), To: noon, Ratio: 1, Done: true, Leads: 1204})
	v.Errors = []Error{
		{Time: noon.Add(-20 * time.Second), First: noon.Add(-134 * time.Minute), Count: 134, Part: nord, Text: "reading the events: LinkedIn answered 403 ACCESS_DENIED",
			Todo: "give the member who connected the role ADMINISTRATOR or CONTENT_ADMINISTRATOR on the page"},
		{Time: noon.Add(-5 * time.Hour), Count: 4, Part: "kafka", Text: "broker-2:9092: connection refused", Over: true},
	}
	return v
}

// issues is what /readyz says of troubledView.
func issues() []Degradation {
	return []Degradation{
		{Part: "role", Reason: nord + " cannot be read: the role ADMINISTRATOR or CONTENT_ADMINISTRATOR is missing", Todo: "have an administrator of the LinkedIn page give it under Admin tools, Manage admins"},
		{Part: "form", Reason: "3001 is suspended; its leads are kept", Todo: "see `leadstream schema diff 3001`"},
	}
}

// disconnectedView is one that nobody has connected yet.
func disconnectedView() View {
	return View{Name: "marketing", Version: "1.4.0", Time: noon, Process: Process{ID: "leads-0", Active: true, Since: noon, Started: noon},
		Connection: Connection{State: Failing}, Hours: []Hour{}, Budget: Budget{Endpoints: []Endpoint{}}, DeadLetters: DeadLetters{Topic: "marketing.deadletters"}}
}

// standbyView is a process that waits.
func standbyView() View {
	v := sampleView()
	v.Process = Process{ID: "leads-7c9d-q8w1z", Since: noon.Add(-time.Hour), Started: noon.Add(-time.Hour), Other: "leads-7c9d-x2k4p"}
	v.Organizations, v.Sources, v.Forms, v.Hours, v.Tasks, v.Latency, v.Budget = nil, nil, nil, nil, nil, Latency{}, Budget{}
	return v
}

// deadLettersView is one in which leads could not be published, and all else works.
func deadLettersView() View {
	v := sampleView()
	v.DeadLetters = DeadLetters{Topic: "t", Total: 9, Last: noon.Add(-time.Hour), Reasons: []Reason{{Name: "UnreadableElement", Text: "could not be read", Count: 9}}}
	return v
}

// throttledView is one of a day on which LinkedIn allows no more requests.
func throttledView() View {
	v := sampleView()
	for i := range v.Sources {
		s := &v.Sources[i]
		s.State, s.Cause, s.Problem, s.Todo = Waiting, "linkedin", "LinkedIn allows no more requests for now; it goes on by itself at 00:02 UTC", "nothing: it goes on by itself then"
	}
	v.Errors = []Error{{Part: "linkedin", State: Waiting, Text: "LinkedIn's daily limit of leadFormResponses is used up after 4310 requests", Todo: "nothing: it goes on by itself then",
		Count: 2, Time: noon, Since: noon.Add(-time.Hour), First: noon.Add(-time.Hour)}}
	return v
}

// suspendedView is one in which all forms wait for one reason.
func suspendedView() View {
	v := sampleView()
	for i := range v.Forms {
		f := &v.Forms[i]
		f.State, f.Label, f.Waiting, f.LagSeconds = Failing, "suspended", true, float64(100+i)*86400
		f.Problem = "topic linkedin.leads." + f.ID + " holds leads of the installation \"other\""
		f.Todo = "choose another `kafka.topic_prefix`"
	}
	return v
}
