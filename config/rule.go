package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"leadstream/internal/lead"
)

// rule is a test of one value (of a list or map: of one item) and its words.
type rule struct {
	ok    func(string) bool
	bound string
}

// Kafka names a topic with at most 249 of these characters, and not . or ..
// Source: Apache Kafka, org.apache.kafka.common.internals.Topic.
const topicLetters = "letters, digits, dots, dashes and underscores"

const (
	longestTopic    = 249
	longestInternal = len(".deadletters") // the longest suffix of a topic named for the installation
	longestFormID   = 19
)

var (
	topicName    = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	apiVersion   = regexp.MustCompile(`^20\d{2}(0[1-9]|1[0-2])$`)
	scopeName    = regexp.MustCompile(`^[a-z0-9_.:]+$`)
	hostName     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)
	topicSetting = regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9]+)+$`)
)

var rules = map[string]rule{
	"name": {func(s string) bool {
		return topicName.MatchString(s) && len(s) <= longestTopic-longestInternal
	}, "at most " + strconv.Itoa(longestTopic-longestInternal) + " " + topicLetters},
	"prefix": {func(s string) bool {
		return topicName.MatchString(s) && len(s) <= longestTopic-longestFormID
	}, "at most " + strconv.Itoa(longestTopic-longestFormID) + " " + topicLetters},
	"version": {apiVersion.MatchString, "a year and month, as 202607"},
	// SPONSORED leads belong to ad accounts, which nothing discovers; those of company
	// pages and products may be read in other roles than organizations are found by.
	"lead_type":    {func(s string) bool { return s == "EVENT" }, "EVENT: no other lead type is read whole by this version"},
	"scope":        {scopeName.MatchString, "names of scopes"},
	"organization": {func(s string) bool { return organizationURN(s) != "" }, "numbers or URNs, as urn:li:organization:2414183"},
	"topic_config": {topicSetting.MatchString, "Kafka's names, as retention.ms: 604800000"},
	"internal_topic_config": {func(s string) bool { return topicSetting.MatchString(s) && s != "cleanup.policy" },
		"Kafka's names, as segment.ms: 3600000, but for cleanup.policy"},
	"url":      {func(s string) bool { return isURL(s, "http", "https") }, "an http or https URL without user, query and fragment"},
	"webhook":  {func(s string) bool { return isRedirect(s) && isURL(s, "http", "https") }, "an https URL, or http with localhost, without user, query and fragment"},
	"redirect": {isRedirect, "an https URL, or http with localhost, without fragment"},
	"host":     {isHost, "names of hosts, as leads.example.com"},
	"hostport": {func(s string) bool { return isAddress(s, 1) }, "host:port"},
	"listen":   {func(s string) bool { return isListen(s) }, "address:port, as 127.0.0.1:8480 or :8480"},
	"path":     {isPath, "a path"},
}

// organizationURN is the URN of an organization given by id or URN, empty
// when it is neither.
func organizationURN(s string) string {
	id := strings.TrimPrefix(s, "urn:li:organization:")
	if !lead.Digits(id) || len(id) > 19 || id[0] == '0' {
		return ""
	}
	return "urn:li:organization:" + id
}

func isURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return true
		}
	}
	return false
}

// LinkedIn takes absolute HTTPS addresses without a fragment, and plain HTTP
// for localhost. Source: LinkedIn, Authorization Code Flow.
func isRedirect(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isAddress(s string, lowest int) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsFunc(host, unicode.IsSpace) || strings.ContainsAny(host, "/@") {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= lowest && n <= 65535 && (host != "" || lowest == 0)
}

// isListen allows no host (every interface) and port 0 (any that is free).
func isListen(s string) bool { return isAddress(s, 0) }

// isHost takes the name of a host, with or without a port.
func isHost(s string) bool {
	name := s
	if host, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
		name = host
	}
	return hostName.MatchString(name)
}

func isPath(s string) bool { return s != "" && !strings.ContainsRune(s, 0) }

// isLoopback reports whether only this machine can reach host.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
