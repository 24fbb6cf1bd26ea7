import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CRASHES, METRICS, type MetricName } from '../../schemas/metrics.ts'
import { PROMETHEUS_RULES, RULES } from '../../supervisor/core/alert-rules.ts'
import { type Expression, metricsIn } from '../../supervisor/core/expression.ts'

/** The selections inside an expression. */
function selections(expression: Expression): Extract<Expression, { metric: string }>[] {
  if ('metric' in expression) return [expression]
  if ('of' in expression) return selections(expression.of)
  return 'left' in expression ? [...selections(expression.left), ...selections(expression.right)] : []
}

const labelsOf = (metric: string) => METRICS[metric as MetricName].labels as Record<string, unknown>

describe('the alert rules', () => {
  it('have different names for both engines', () => {
    for (const name of Object.keys(PROMETHEUS_RULES)) assert.ok(!(name in RULES), name)
  })

  for (const [name, rule] of Object.entries(RULES)) {
    it(`${name} asks only for metrics, labels and values that are declared`, () => {
      const held = rule.offlineOnly ? selections(rule.offlineOnly.where) : []
      for (const { kind, metric, where } of [...selections(rule.when), ...held]) {
        for (const [label, asked] of Object.entries(where)) {
          const values = labelsOf(metric)[label]
          assert.ok(values !== undefined, `${metric} has no label ${label}`)
          if (typeof values === 'string') continue
          for (const value of [asked].flat()) assert.ok((values as string[]).includes(value), value)
        }
        if (kind === 'increase') assert.equal(METRICS[metric].type, 'counter', metric)
        if (kind !== 'increase') assert.equal(METRICS[metric].type, 'gauge', metric)
      }
      assert.ok(metricsIn(rule.when).length > 0)
    })
  }

  for (const [name, { fires, silent }] of Object.entries({ ...RULES, ...PROMETHEUS_RULES })) {
    it(`${name} has examples of declared series`, () => {
      for (const { series } of silent === null ? [fires] : [fires, silent]) {
        for (const key of Object.keys(series).filter((one) => !one.startsWith('up{'))) {
          const [, metric = '', labels = ''] = /^(\w+?)(?:_bucket)?(?:\{(.*)\})?$/.exec(key) ?? []
          assert.ok(metric in METRICS, `${metric} is not declared`)
          const named = [...labels.matchAll(/(\w+)="([^"]*)"/g)]
          for (const [, label = '', value = ''] of named.filter(([, label]) => label !== 'le')) {
            const values = labelsOf(metric)[label]
            assert.ok(values !== undefined, `${metric} has no label ${label}`)
            if (typeof values !== 'string')
              assert.ok((values as string[]).includes(value), `${key}: ${value}`)
          }
          const given = named.map(([, label]) => label).filter((label) => label !== 'le')
          assert.deepEqual(given, Object.keys(labelsOf(metric)), `${key} lacks a label`)
        }
      }
    })
  }

  it('count every exit that nobody wanted as a crash', () => {
    const [first] = selections(RULES['ServiceCrashed']!.when)
    assert.deepEqual(first?.where['cause'], [...CRASHES])
  })
})
