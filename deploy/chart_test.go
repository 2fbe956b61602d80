package deploy_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/cli/values"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/getter"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chartDir = "helm/leadstream"

var update = flag.Bool("update", false, "write the golden files anew")

// render is the chart with these values, by template.
func render(t *testing.T, given common.Values) (map[string]string, error) {
	t.Helper()
	chart, err := loader.LoadDir(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: "leadstream", Namespace: "leads", Revision: 1, IsInstall: true}
	merged, err := util.ToRenderValues(chart, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, merged)
	if err != nil {
		return nil, err
	}
	rendered := map[string]string{}
	for path, text := range files {
		name := filepath.Base(path)
		if filepath.Ext(name) == ".yaml" && strings.TrimSpace(text) != "" {
			rendered[name] = strings.TrimSpace(text) + "\n"
		}
	}
	return rendered, nil
}

// readValues reads a file of values as "helm install --values" does.
func readValues(t *testing.T, path string) common.Values {
	t.Helper()
	read, err := (&values.Options{ValueFiles: []string{path}}).MergeValues(getter.Providers{})
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// worlds are the sets of values that the chart is rendered with.
func worlds(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/chart/*.values.yaml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d sets of values: %v", len(paths), err)
	}
	return paths
}

// The golden files are checked against the program's settings and commands by
// its own tests.
func TestChartRendersAsItDid(t *testing.T) {
	for _, path := range worlds(t) {
		rendered, err := render(t, readValues(t, path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var all strings.Builder
		for _, name := range slices.Sorted(maps.Keys(rendered)) {
			all.WriteString("---\n# " + name + "\n" + rendered[name])
		}
		golden := strings.TrimSuffix(path, ".values.yaml") + ".golden.yaml"
		if *update {
			if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if all.String() != string(want) {
			t.Errorf("%s has changed; if that is meant: go test -run Chart -update .\ngot:\n%s", golden, all.String())
		}
	}
}

// objects are the rendered manifests, decoded as Kubernetes' own types; a field
// that they do not have is refused.
type objects struct {
	config     core.ConfigMap
	deployment apps.Deployment
	service    core.Service
	account    core.ServiceAccount
	budget     policy.PodDisruptionBudget
	monitor    monitoring.PodMonitor
}

func decode(t *testing.T, rendered map[string]string) *objects {
	t.Helper()
	var o objects
	kinds := map[string]any{"configmap.yaml": &o.config, "deployment.yaml": &o.deployment, "service.yaml": &o.service,
		"serviceaccount.yaml": &o.account, "poddisruptionbudget.yaml": &o.budget, "podmonitor.yaml": &o.monitor}
	for name, text := range rendered {
		into, ok := kinds[name]
		if !ok {
			t.Errorf("%s is not checked by any test", name)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return &o
}

func TestChartMakesWhatKubernetesTakes(t *testing.T) {
	for _, path := range worlds(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			rendered, err := render(t, readValues(t, path))
			if err != nil {
				t.Fatal(err)
			}
			o := decode(t, rendered)
			pod, selector := o.deployment.Spec.Template, o.deployment.Spec.Selector.MatchLabels
			for what, chosen := range map[string]map[string]string{"deployment": selector, "service": o.service.Spec.Selector} {
				for k, v := range chosen {
					if pod.Labels[k] != v {
						t.Errorf("the %s selects %s=%s, the pods have %q", what, k, v, pod.Labels[k])
					}
				}
			}
			ports := map[string]bool{}
			for _, p := range pod.Spec.Containers[0].Ports {
				ports[p.Name] = true
			}
			for _, p := range o.service.Spec.Ports {
				if !ports[p.TargetPort.StrVal] {
					t.Errorf("the service leads to port %q, the container has %v", p.TargetPort.StrVal, ports)
				}
			}
			for _, e := range o.monitor.Spec.PodMetricsEndpoints {
				if e.Port == nil || !ports[*e.Port] || e.Path != "/metrics" {
					t.Errorf("the monitor scrapes %s of port %v", e.Path, e.Port)
				}
			}
			mounted(t, pod.Spec)
		})
	}
}

// mounted checks that what is mounted is there, and that what the environment
// names lies in it.
func mounted(t *testing.T, pod core.PodSpec) {
	t.Helper()
	volumes, files := map[string]core.Volume{}, map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		v, ok := volumes[m.Name]
		if !ok {
			t.Errorf("%s is mounted, and is no volume", m.Name)
		}
		if v.Secret == nil {
			continue
		}
		if *v.Secret.DefaultMode != 0o440 || !m.ReadOnly {
			t.Errorf("secrets are mounted with mode %o, read-only %t", *v.Secret.DefaultMode, m.ReadOnly)
		}
		for _, item := range v.Secret.Items {
			files[m.MountPath+"/"+item.Path] = true
		}
	}
	for _, e := range pod.Containers[0].Env {
		if strings.HasPrefix(e.Name, "LEADSTREAM_") && !files[e.Value] {
			t.Errorf("%s names %s, mounted are %v", e.Name, e.Value, slices.Sorted(maps.Keys(files)))
		}
	}
}

func TestChartPodsHaveNoRightsTheyDoNotNeed(t *testing.T) {
	for _, path := range worlds(t) {
		rendered, err := render(t, readValues(t, path))
		if err != nil {
			t.Fatal(err)
		}
		pod := decode(t, rendered).deployment.Spec.Template.Spec
		c := pod.Containers[0]
		for what, holds := range map[string]bool{
			"runs without root":           *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser == 65532,
			"system calls are filtered":   pod.SecurityContext.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault,
			"no token of Kubernetes":      !*pod.AutomountServiceAccountToken,
			"no variables of services":    !*pod.EnableServiceLinks, // LEADSTREAM_PORT would be taken for a setting
			"nothing can be written":      *c.SecurityContext.ReadOnlyRootFilesystem,
			"no way to more rights":       !*c.SecurityContext.AllowPrivilegeEscalation,
			"no capabilities":             slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"ALL"}),
			"memory is bounded":           !c.Resources.Limits.Memory().IsZero(),
			"alive by /healthz":           c.LivenessProbe.HTTPGet.Path == "/healthz",
			"ready by /readyz":            c.ReadinessProbe.HTTPGet.Path == "/readyz",
			"time to finish":              *pod.TerminationGracePeriodSeconds >= 30,
			"a token file stays private":  *pod.SecurityContext.FSGroupChangePolicy == core.FSGroupChangeOnRootMismatch,
			"secrets are files":           !strings.Contains(rendered["deployment.yaml"], "secretKeyRef"),
			"the tag is not a moving one": !strings.HasSuffix(c.Image, ":latest") && strings.Contains(c.Image, ":"),
		} {
			if !holds {
				t.Errorf("%s: not so: %s", path, what)
			}
		}
	}
}

func TestTwoPodsAreNeverTakenAwayTogether(t *testing.T) {
	rendered, err := render(t, readValues(t, "testdata/chart/small.values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o := decode(t, rendered)
	rolling := o.deployment.Spec.Strategy.RollingUpdate
	if *o.deployment.Spec.Replicas != 2 || rolling.MaxUnavailable.IntVal != 0 || rolling.MaxSurge.IntVal != 1 {
		t.Errorf("replicas %d, strategy %+v", *o.deployment.Spec.Replicas, rolling)
	}
	if o.budget.Spec.MaxUnavailable == nil || o.budget.Spec.MaxUnavailable.IntVal != 1 {
		t.Errorf("budget = %+v", o.budget.Spec)
	}
	rendered, err = render(t, readValues(t, "testdata/chart/file.values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, there := rendered["poddisruptionbudget.yaml"]; there {
		t.Error("a budget for the only pod would keep its node from being drained")
	}
	if kind := decode(t, rendered).deployment.Spec.Strategy.Type; kind != apps.RecreateDeploymentStrategyType {
		t.Errorf("with a volume for the tokens the strategy is %s", kind)
	}
}

func TestChartRefusesValuesThatCannotWork(t *testing.T) {
	tests := []struct {
		name, want string
		change     func(config, all map[string]any)
	}{
		{"nothing set", "linkedin", func(config, _ map[string]any) { delete(config, "linkedin") }},
		{"no brokers", "kafka", func(config, _ map[string]any) { delete(config, "kafka") }},
		{"an unknown value", "replicas", func(_, all map[string]any) { all["replicas"] = 2 }},
		{"no replicas", "replicaCount", func(_, all map[string]any) { all["replicaCount"] = 0 }},
		{"a secret in the configuration", "linkedin", func(config, _ map[string]any) {
			config["linkedin"] = map[string]any{"client_id": "a", "client_secret": "b"}
		}},
		{"a token file each", "replicaCount 1", func(config, _ map[string]any) { config["token"] = map[string]any{"store": "file"} }},
		{"tokens in the clear", "token.passphrase", func(_, all map[string]any) {
			all["secrets"] = map[string]any{"name": "s", "files": map[string]any{"token.passphrase": nil}}
		}},
		{"a typo at the top", "podLabel", func(_, all map[string]any) { all["podLabel"] = map[string]any{} }},
		{"a typo in the configuration", "pol", func(config, _ map[string]any) { config["pol"] = map[string]any{"interval": "1m"} }},
		{"a typo in a section", "intervall", func(config, _ map[string]any) { config["poll"] = map[string]any{"intervall": "1m"} }},
		{"a typo in a section of a section", "mechanismus", func(config, _ map[string]any) {
			config["kafka"].(map[string]any)["sasl"] = map[string]any{"mechanismus": "PLAIN"}
		}},
		{"a section that is a value", "poll", func(config, _ map[string]any) { config["poll"] = "1m" }},
		{"a typo in the resources", "limit", func(_, all map[string]any) { all["resources"] = map[string]any{"limit": map[string]any{}} }},
		{"a typo in a toleration", "efect", func(_, all map[string]any) {
			all["tolerations"] = []any{map[string]any{"key": "a", "efect": "NoSchedule"}}
		}},
		{"a typo in the affinity", "podAntiafinity", func(_, all map[string]any) { all["affinity"] = map[string]any{"podAntiafinity": map[string]any{}} }},
		{"a volume without a name", "extraVolumes", func(_, all map[string]any) { all["extraVolumes"] = []any{map[string]any{"emptyDir": map[string]any{}}} }},
		{"a label that is no text", "podLabels", func(_, all map[string]any) { all["podLabels"] = map[string]any{"a": 1} }},
		{"a service that is none", "service", func(_, all map[string]any) { all["service"] = map[string]any{"type": "Clusterip"} }},
		{"a port that is none", "listen", func(config, _ map[string]any) { config["http"] = map[string]any{"listen": "0.0.0.0:0"} }},
		{"two listeners on one address", "webhook.listen", func(config, _ map[string]any) { config["webhook"] = map[string]any{"listen": ":8480"} }},
		{"a secret that is none", "kafka.brokers", func(_, all map[string]any) {
			all["secrets"] = map[string]any{"name": "s", "files": map[string]any{"kafka.brokers": "a"}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := readValues(t, "testdata/chart/small.values.yaml")
			tt.change(all["config"].(map[string]any), all)
			if _, err := render(t, all); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that names %s", err, tt.want)
			}
		})
	}
}

// What listens on the pod's own loopback answers no probe: the pod would never be
// ready, and nothing would say why.
func TestChartRefusesAListenerThatNobodyReaches(t *testing.T) {
	for _, at := range []string{"http", "webhook"} {
		for address, refused := range map[string]bool{
			"127.0.0.1:8485": true, "127.8.0.1:8485": true, "localhost:8485": true, "LOCALHOST:8485": true, "a.localhost:8485": true, "[::1]:8485": true,
			"[0:0:0:0:0:0:0:1]:8485": true, "[::ffff:127.0.0.1]:8485": true,
			"0.0.0.0:8485": false, ":8485": false, "[::]:8485": false, "10.127.0.1:8485": false, "[fd00::1]:8485": false, "[2001:db8::1]:8485": false,
		} {
			all := readValues(t, "testdata/chart/small.values.yaml")
			all["config"].(map[string]any)[at] = map[string]any{"listen": address}
			_, err := render(t, all)
			if said := err != nil && strings.Contains(err.Error(), "config."+at+".listen is "+address) && strings.Contains(err.Error(), "0.0.0.0:8485"); said != refused || !refused && err != nil {
				t.Errorf("%s.listen %s: error = %v, want one that names it: %t", at, address, err, refused)
			}
		}
	}
}

func TestChartPassesHelmsLinter(t *testing.T) {
	for _, path := range worlds(t) {
		result := lint.RunAll(chartDir, readValues(t, path), "leads")
		if len(result.Messages) == 0 {
			t.Error("the linter did not run: it always asks for an icon")
		}
		for _, m := range result.Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", path, m)
			}
		}
	}
}
