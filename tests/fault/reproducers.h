/*
 * Read before each reproducer of the reference data's bugs/hostile: those programs call the interface as it was before
 * outputs went to the end.
 */
#ifndef REPRODUCERS_H
#define REPRODUCERS_H

#include <voxseg.h>

#define vxs_plan_report_for vxs_plan_estimate
#define vxs_segment(plan, volume, labels, options, report, error) vxs_segment(plan, volume, options, labels, report, error)
#define vxs_statistics(labels, image, options, list, error) vxs_statistics(labels, image, 0, options, list, error)

#endif
