package linkedinsim

import (
	"regexp"
	"strconv"
	"strings"
)

const (
	organizationPrefix = "urn:li:organization:"
	brandPrefix        = "urn:li:organizationBrand:"
	eventPrefix        = "urn:li:event:"
	formPrefix         = "urn:li:leadGenForm:"
	personPrefix       = "urn:li:person:"
	responsePrefix     = "urn:li:leadGenFormResponse:"
)

func organizationURN(id int64) string { return organizationPrefix + strconv.FormatInt(id, 10) }

func eventURN(id int64) string { return eventPrefix + strconv.FormatInt(id, 10) }

func formURN(id int64) string { return formPrefix + strconv.FormatInt(id, 10) }

// versionedFormURN names one version of a form. LinkedIn's webhook samples
// have a blank after the comma, the finder's do not.
func versionedFormURN(id int64, version int, blank bool) string {
	comma := ","
	if blank {
		comma = ", "
	}
	return "urn:li:versionedLeadGenForm:(" + formURN(id) + comma + strconv.Itoa(version) + ")"
}

// parseURN is the number that follows prefix.
func parseURN(urn, prefix string) (int64, bool) {
	digits, ok := strings.CutPrefix(urn, prefix)
	if !ok {
		return 0, false
	}
	return parseID(digits)
}

// parseID reads a positive decimal number of up to 19 digits, without sign.
func parseID(digits string) (int64, bool) {
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, err == nil && id > 0
}

var versionedForm = regexp.MustCompile(`^urn:li:versionedLeadGenForm:\(urn:li:leadGenForm:(\d{1,19}),\s*(\d{1,9})\)$`)

// parseFormURN reads both URNs of a form; version is 0 when none is named.
func parseFormURN(urn string) (id int64, version int, ok bool) {
	if id, ok = parseURN(urn, formPrefix); ok {
		return id, 0, true
	}
	m := versionedForm.FindStringSubmatch(urn)
	if m == nil {
		return 0, 0, false
	}
	id, ok = parseID(m[1])
	version, err := strconv.Atoi(m[2])
	return id, version, ok && err == nil
}

// formReference reads how the control API names a form: its number or one of
// its URNs; empty is 0.
func formReference(s string) (id int64, version int, ok bool) {
	if id, ok = reference(s, formPrefix); ok {
		return id, 0, true
	}
	return parseFormURN(s)
}

// reference reads how the control API names a thing: its number or its URN;
// empty is 0.
func reference(s, prefix string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	if id, ok := parseID(s); ok {
		return id, true
	}
	return parseURN(s, prefix)
}
