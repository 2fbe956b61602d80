package main

import (
	"testing"

	"leadstream/config"
)

func TestTheLogNamesThePageWherePeopleFindIt(t *testing.T) {
	for _, tt := range []struct{ redirect, listen, want string }{
		{"http://localhost:8480/oauth/callback", "0.0.0.0:8480", "http://localhost:8480/"},
		{"https://leads.example.com/leadstream/oauth/callback", "0.0.0.0:8480", "https://leads.example.com/leadstream/"},
		{"https://leads.example.com/other", "127.0.0.1:8481", "http://127.0.0.1:8481/"},
		{"https://leads.example.com/other", ":8481", "http://localhost:8481/"},
	} {
		c := config.Default()
		c.LinkedIn.RedirectURL, c.HTTP.Listen = tt.redirect, tt.listen
		if got := pageAddress(c); got != tt.want {
			t.Errorf("redirect %s, listen %s: %s, want %s", tt.redirect, tt.listen, got, tt.want)
		}
	}
}
