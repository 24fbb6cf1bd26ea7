/**
 * Rules, their tests and the scrape configuration for Prometheus, from the same declarations that this process
 * evaluates. `promtool test rules` plays each rule's two examples; what it has to expect is what the evaluator says.
 */
import { stringify } from 'yaml'
import { PROMETHEUS_RULES, RULES } from '../core/alert-rules.ts'
import type { Labels } from '../core/evaluate.ts'
import { placeholders, VALUES } from '../core/summary.ts'
import { play, STEP_SECONDS } from './examples.ts'
import { rulePromql, span } from './promql.ts'

/** Names of our rules in Prometheus begin so. */
export const PREFIX = 'Paios'

/** The label of what only Prometheus tells. */
export const BY_PROMETHEUS = { told_by: 'prometheus' } as const

/** Where the runbook of a rule lies, by the rule's name. */
export type RunbookOf = (rule: string) => string

type RuleText = {
  alert: string
  expr: string
  for?: string
  keep_firing_for?: string
  labels: Labels
  annotations: Labels
}

/** The rules of one group, in the order of the table. */
function ruleTexts(runbookOf: RunbookOf): RuleText[] {
  const text = (
    name: string,
    expr: string,
    rule: { for: number; keep: number; severity: string; summary: string },
    more: Labels = {},
  ): RuleText => ({
    alert: `${PREFIX}${name}`,
    expr,
    ...(rule.for > 0 ? { for: span(rule.for) } : {}),
    ...(rule.keep > 0 ? { keep_firing_for: span(rule.keep) } : {}),
    labels: { severity: rule.severity, ...more },
    annotations: { summary: template(rule.summary), runbook: runbookOf(name) },
  })
  return [
    ...Object.entries(RULES).map(([name, rule]) => text(name, rulePromql(rule), rule)),
    ...Object.entries(PROMETHEUS_RULES).map(([name, rule]) => text(name, rule.promql, rule, BY_PROMETHEUS)),
  ]
}

/** A summary as a template of Prometheus. */
function template(summary: string): string {
  return placeholders(summary).reduce(
    (text, name) =>
      text.replaceAll(
        `{${name}}`,
        name in VALUES ? VALUES[name as keyof typeof VALUES].template : `{{ $labels.${name} }}`,
      ),
    summary,
  )
}

/** The rules file. */
export function rulesFile(runbookOf: RunbookOf): string {
  return yaml({ groups: [{ name: 'paios', interval: `${STEP_SECONDS}s`, rules: ruleTexts(runbookOf) }] })
}

type Expected = { readonly labels: Labels; readonly summary: string }

/** The tests of the rules: one example of each that fires, one that does not. */
export function rulesTestFile(rulesName: string, runbookOf: RunbookOf): string {
  const test = (
    name: string,
    severity: string,
    { at, series }: { at: number; series: Readonly<Record<string, string>> },
    expected: readonly Expected[],
  ) => ({
    interval: `${STEP_SECONDS}s`,
    input_series: Object.entries(series).map(([key, values]) => ({
      series: key.startsWith('up{') ? key : `paios_${key}`,
      values,
    })),
    alert_rule_test: [
      {
        eval_time: `${at}s`,
        alertname: `${PREFIX}${name}`,
        exp_alerts: expected.map(({ labels, summary }) => ({
          exp_labels: { ...labels, severity },
          exp_annotations: { summary, runbook: runbookOf(name) },
        })),
      },
    ],
  })
  const ours = Object.entries(RULES).flatMap(([name, rule]) =>
    [rule.fires, rule.silent].map((example) =>
      test(
        name,
        rule.severity,
        example,
        play(name, rule, example).filter(({ held }) => held.length === 0),
      ),
    ),
  )
  const theirs = Object.entries(PROMETHEUS_RULES).flatMap(([name, { severity, fires, silent }]) => [
    test(name, severity, fires, [{ labels: { ...fires.labels, ...BY_PROMETHEUS }, summary: fires.says }]),
    ...(silent ? [test(name, severity, silent, [])] : []),
  ])
  return yaml({
    rule_files: [rulesName],
    evaluation_interval: `${STEP_SECONDS}s`,
    tests: [...ours, ...theirs],
  })
}

/** A whole configuration for a Prometheus that watches this one mesh. */
export function prometheusFile(port: number, rulesName: string): string {
  return yaml({
    global: { scrape_interval: `${STEP_SECONDS}s`, evaluation_interval: `${STEP_SECONDS}s` },
    rule_files: [rulesName],
    alerting: { alertmanagers: [{ static_configs: [{ targets: ['127.0.0.1:9093'] }] }] },
    scrape_configs: [{ job_name: 'paios', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
  })
}

/** What the first line of every file says, by which a later export knows it. */
export const WRITTEN_BY = 'Written by paios export'

/** YAML with that line. */
export const yaml = (value: unknown): string =>
  `# ${WRITTEN_BY}; the next one writes it anew.\n` +
  stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
