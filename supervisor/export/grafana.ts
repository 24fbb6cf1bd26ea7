/**
 * Dashboards for Grafana, built with its Foundation SDK. The SDK leaves out what Grafana itself would fill in when
 * somebody saves a dashboard by hand: the finaliser numbers panels and queries, says which value a stat shows, and
 * refuses what would be wrong on another installation.
 */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { alertPath, remedies } from './dashboards-alerting.ts'
import { host } from './dashboards-host.ts'
import { overview, service } from './dashboards-services.ts'
import type { DashboardData, Panel } from './panels.ts'
import { WRITTEN_BY } from './prometheus.ts'

/** Every dashboard. */
export const DASHBOARDS: readonly DashboardData[] = [overview, service, remedies, alertPath, host]

/** Chosen in the dashboard, so that no installation's identifier is in the file. */
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const
const HEIGHT = { stat: 4, timeseries: 8, statetimeline: 8, table: 8, heatmap: 8 } as const

const BUILDERS = {
  stat: () => new stat.PanelBuilder(),
  timeseries: () => new timeseries.PanelBuilder(),
  statetimeline: () => new statetimeline.PanelBuilder(),
  table: () => new table.PanelBuilder(),
  heatmap: () => new heatmap.PanelBuilder(),
} as const

/** The JSON of each dashboard by its file name. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(
    DASHBOARDS.map((data) => [
      `paios-${data.id}.json`,
      `${JSON.stringify(finalise(buildOne(data)), null, 2)}\n`,
    ]),
  )
}

function buildOne(data: DashboardData): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(data.title)
    .uid(`paios-${data.id}`)
    .description(`${WRITTEN_BY}; the next one writes it anew.`)
    .tags(['paios'])
    .refresh('30s')
    .time({ from: 'now-6h', to: 'now' })
    .withVariable(
      new dashboard.DatasourceVariableBuilder('datasource').type('prometheus').label('Prometheus'),
    )
    .link(
      new dashboard.DashboardLinkBuilder('PAIOS')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['paios'])
        .asDropdown(true)
        .keepTime(true),
    )
  if (data.isOfService) {
    builder.withVariable(
      new dashboard.QueryVariableBuilder('service')
        .label('Service')
        .query('label_values(paios_service_info, service)')
        .datasource(DATASOURCE)
        .refresh(dashboard.VariableRefresh.OnTimeRangeChanged),
    )
  }
  for (const { title, panels } of data.rows) {
    builder.withRow(new dashboard.RowBuilder(title))
    for (const panel of panels) builder.withPanel(panelOf(panel))
  }
  return builder.build()
}

function panelOf({ kind, title, description, unit, width, queries }: Panel) {
  const builder = BUILDERS[kind]()
    .title(title)
    .description(description)
    .unit(unit)
    .span(width)
    .height(HEIGHT[kind])
    .datasource(DATASOURCE)
  for (const { expr, legend, isInstant } of queries) {
    const target = new DataqueryBuilder().expr(expr).legendFormat(legend).datasource(DATASOURCE)
    if (kind === 'heatmap') target.format(PromQueryFormat.Heatmap)
    if (kind === 'table') target.format(PromQueryFormat.Table)
    builder.withTarget(isInstant ? target.instant() : target.range())
  }
  return builder
}

type Built = {
  type: string
  id?: number
  title?: string
  description?: string
  datasource?: { uid?: string }
  fieldConfig?: { defaults: { unit?: string } }
  options?: { reduceOptions?: { calcs: string[] } }
  targets?: { refId?: string; expr?: string; datasource?: { uid?: string } }[]
}

/** Fills in what is missing; throws for what must not be. */
function finalise(built: dashboard.Dashboard): dashboard.Dashboard {
  const titles = new Set<string>()
  for (const [index, panel] of ((built.panels ?? []) as Built[]).entries()) {
    panel.id = index + 1
    if (panel.type === 'row') continue
    const name = `${built.title}: ${panel.title}`
    if (!panel.description || !panel.fieldConfig?.defaults.unit)
      throw new Error(`${name} lacks a description or unit`)
    if (titles.has(name)) throw new Error(`${name} is there twice`)
    titles.add(name)
    if (panel.options?.reduceOptions) panel.options.reduceOptions.calcs = ['lastNotNull']
    for (const [number, target] of (panel.targets ?? []).entries()) {
      target.refId = String.fromCharCode(65 + number)
      if (target.datasource?.uid !== DATASOURCE.uid) throw new Error(`${name} names a datasource of its own`)
    }
  }
  return built
}
