package main

import (
	"leadstream/internal/linkedin"
	"leadstream/internal/web"
)

// budgetView is the use of LinkedIn's API as the status page shows it.
func budgetView(b linkedin.Budget) web.Budget {
	view := web.Budget{Resets: b.Resets, Paced: b.Paced, Note: b.Note, Endpoints: []web.Endpoint{}}
	for _, e := range b.Endpoints {
		view.Endpoints = append(view.Endpoints, web.Endpoint{
			Name: e.Endpoint, Used: int64(e.Used), Limit: int64(e.Limit), Throttled: int64(e.Throttled),
		})
	}
	return view
}
