# Chatterbox Messenger: the commands. `make` alone lists them.
#
# Long steps are scripts (docker/cluster.sh, tests/*.sh); what stands here is what depends on
# what. Settings are variables on the command line: `make up MODE=local PORT=8080`.

# Where the page is served.
PORT ?= 1050
# compose: in containers. local: as processes of this machine. auto: containers when a
# Docker engine answers.
MODE ?= auto
# Where the local cluster keeps its data.
DATA ?= data
# Which manifests: dev or prod.
OVERLAY ?= dev
# Simulated clusters: one seed with its trace, or many.
SEED ?=
SEEDS ?= 1000
SEED_START ?= 0
SIM = $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --start $(SEED_START))
CLUSTER = MODE='$(MODE)' PORT='$(PORT)' DATA='$(DATA)' docker/cluster.sh

SHELL := /bin/sh
.DEFAULT_GOAL := help
# A recipe that fails must not leave a half-made target behind that looks finished.
.DELETE_ON_ERROR:

PROGRAMS := replica gateway membership chatterctl
WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' \
	-not -path 'web/dist/*' 2>/dev/null)

##@ Use

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nSettings: MODE=auto|compose|local  PORT=%s  DATA=%s\n' '$(PORT)' '$(DATA)'

.PHONY: up
up: ## Build what is needed, start the cluster, wait until it is ready
	@$(CLUSTER) up

.PHONY: demo
demo: ## As `up`, then three rooms, some people and a history, so that it is a living place
	@$(CLUSTER) demo

.PHONY: down
down: ## Stop the cluster; its data stays
	@$(CLUSTER) down

.PHONY: status
status: ## Which services run, and how the replicas are
	@$(CLUSTER) status

.PHONY: logs
logs: ## Follow the logs of all services
	@$(CLUSTER) logs

##@ On Kubernetes

.PHONY: k8s-up
k8s-up: ## Apply an overlay and wait until it is ready: OVERLAY=dev|prod
	@OVERLAY='$(OVERLAY)' k8s/cluster.sh up

.PHONY: k8s-down
k8s-down: ## Delete what the overlay made; the disks stay
	@OVERLAY='$(OVERLAY)' k8s/cluster.sh down

.PHONY: k8s-status
k8s-status: ## Pods, replicas, who votes
	@OVERLAY='$(OVERLAY)' k8s/cluster.sh status

.PHONY: k8s-scale
k8s-scale: ## More or fewer voters: REPLICAS=3|5|7
	@OVERLAY='$(OVERLAY)' REPLICAS='$(REPLICAS)' k8s/cluster.sh scale

.PHONY: k8s-roll
k8s-roll: ## Restart everything, one by one, the leader last
	@OVERLAY='$(OVERLAY)' k8s/cluster.sh roll

##@ Develop

.PHONY: test
test: ## All tests: page, Rust, real processes, browser
	@tests/run.sh

.PHONY: sbom
sbom: ## What the image consists of, as CycloneDX in target/sbom: needs cargo-cyclonedx
	@docker/sbom.sh

.PHONY: test-containers
test-containers: ## The image and a cluster of containers, killed, saved and restored: needs Docker
	@tests/containers.sh

.PHONY: test-versions
test-versions: ## Programs of an older revision and of this one in one cluster: FROM=HEAD~1
	@FROM='$(FROM)' tests/versions.sh

.PHONY: sim
sim: ## Simulated clusters: SEED=42 shows one, SEEDS=100000 SEED_START=0 runs many
	@cargo run --quiet --locked --profile sim -p simulator --bin sim -- $(SIM)

.PHONY: model
model: ## The real core, exhaustively, in small worlds: WORLD=seal searches one
	@cargo run --quiet --locked --profile model -p model -- check $(or $(WORLD),small)

.PHONY: zoo
zoo: ## Plant known bugs, one at a time, and see which test finds each: ONLY=007 plants one
	@cargo run --quiet --locked -p zoo -- $(if $(ONLY),--only '$(ONLY)')

.PHONY: chaos
chaos: ## Faults under load, then the verdict: MINUTES=10 SEED=7 FAULTS=kill,replace
	@MODE='$(MODE)' MINUTES='$(MINUTES)' SEED='$(SEED)' FAULTS='$(FAULTS)' \
		REPLICAS='$(REPLICAS)' GATEWAYS='$(GATEWAYS)' STANDBYS='$(STANDBYS)' \
		CLIENTS='$(CLIENTS)' RATE='$(RATE)' ROOMS='$(ROOMS)' OUT='$(OUT)' \
		PROFILE='$(PROFILE)' tests/chaos.sh

.PHONY: bench
bench: ## Us beside etcd, RabbitMQ, NATS and mosquitto: QUICK=1, SERIES=commit,web, PUBLISH=1
	@QUICK='$(QUICK)' SERIES='$(SERIES)' SYSTEMS='$(SYSTEMS)' ROUNDS='$(ROUNDS)' OUT='$(OUT)' \
		KEEP='$(KEEP)' PUBLISH='$(PUBLISH)' tests/bench.sh

.PHONY: verify
verify: ## Every check that only reads: format, lints, docs, dependencies, types
	@tests/verify.sh

.PHONY: fix
fix: ## Write what tools can: format, and the lints' own suggestions
	cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets --locked \
		--features replica/failpoints
	cargo fmt --all

##@ Build

.PHONY: page
page: web/dist/index.html ## The page, into web/dist

.PHONY: programs
programs: web/dist/index.html ## The four programs, into target/release
	@docker/cluster.sh need cargo cc
	cargo build --release --locked $(addprefix -p ,$(PROGRAMS))

.PHONY: images
images: ## The container image, chatterbox:local
	@$(CLUSTER) images

##@ Clean up

.PHONY: clean
clean: ## Remove what was built; the cluster's data stays
	rm -rf target web/dist web/node_modules tests/browser/node_modules tests/browser/output

.PHONY: wipe
wipe: ## Stop the cluster and delete its data, after asking
	@$(CLUSTER) wipe

# npm writes its hidden lock file last: when it is newer than ours, the packages are complete.
%/node_modules/.package-lock.json: %/package-lock.json %/package.json
	@docker/cluster.sh need node npm
	cd $* && npm ci --no-audit --no-fund
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build
	@touch $@
