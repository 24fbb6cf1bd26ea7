import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { METRICS, type Metric } from '../../schemas/metrics.ts'
import { PROMETHEUS_RULES, RULES } from '../../supervisor/core/alert-rules.ts'
import { rulePromql, span } from '../../supervisor/export/promql.ts'

const text = readFileSync(join(import.meta.dirname, '../../docs/observability.md'), 'utf8')
const cell = (value: string) => value.replaceAll('|', '\\|')
/** Series of each dimension in the largest mesh that has to fit: 40 services with three probes each. */
const MOST = { service: 40, probe: 3, runbook: 60, mountpoint: 4, rule: 60, text: 1 } as const

describe('docs/observability.md', () => {
  for (const [name, { type, help, labels }] of Object.entries<Metric>(METRICS)) {
    it(`has the row of ${name}`, () => {
      const shown = Object.entries(labels).map(([label, values]) =>
        typeof values === 'string' ? label : `${label} (${values.join(' ')})`,
      )
      const row = `| \`${name}\` | ${type} | ${shown.join(', ') || '—'} | ${cell(help)} |`
      assert.ok(text.includes(`${row}\n`), `it lacks:\n${row}`)
    })
  }

  for (const [name, rule] of Object.entries(RULES)) {
    it(`has the row of ${name}`, () => {
      const { severity, heldBy, summary } = rule
      const wait = rule.for === 0 ? 'at once' : span(rule.for)
      const keep = rule.keep === 0 ? '' : `, keeps ${span(rule.keep)}`
      const held = heldBy.join(' ') || '—'
      const row = `| ${name} | ${severity} | ${wait}${keep} | ${held} | ${cell(summary)} | \`${cell(rulePromql({ ...rule, heldBy: [] }))}\` |`
      assert.ok(text.includes(`${row}\n`), `it lacks:\n${row}`)
    })
  }

  for (const [name, rule] of Object.entries(PROMETHEUS_RULES)) {
    it(`has the row of ${name}`, () => {
      const wait = rule.for === 0 ? 'at once' : span(rule.for)
      const row = `| ${name} | ${rule.severity} | ${wait} | ${cell(rule.summary)} | \`${cell(rule.promql)}\` |`
      assert.ok(text.includes(`${row}\n`), `it lacks:\n${row}`)
    })
  }

  it('has no row of a metric or rule that is not there', () => {
    const rows = [
      ...text.matchAll(/^\| `?(\w+)`? \| (?:gauge|counter|histogram|critical|warning|info|none) \|/gm),
    ]
    const known = [METRICS, RULES, PROMETHEUS_RULES].flatMap((table) => Object.keys(table))
    assert.deepEqual(rows.map(([, name]) => name).sort(), known.sort())
  })
})

describe('the number of series', () => {
  it('stays below 6,000 in the largest mesh that has to fit', () => {
    const most = Object.values<Metric>(METRICS).reduce((sum, { labels, buckets, type }) => {
      const sets = Object.values(labels).reduce(
        (product, values) => product * (typeof values === 'string' ? MOST[values] : values.length),
        1,
      )
      return sum + sets * (type === 'histogram' ? buckets.length + 3 : 1)
    }, 0)
    assert.ok(most < 6_000, `${most} series`)
  })
})
