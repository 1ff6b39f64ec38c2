// A private endpoint of one service, with its name in a private DNS zone: the service is reached from the network only.
param name string
param location string
param tags object
param subnetId string

@description('The resource that is reached.')
param targetId string

@description('Which part of it: blob, sqlServer, postgresqlServer, vault, registry, amlworkspace.')
param groupId string

@description('Ids of the private DNS zones that hold its names.')
param zoneIds array

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: targetId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }
}

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [for (zoneId, i) in zoneIds: {
      name: 'zone${i}'
      properties: {
        privateDnsZoneId: zoneId
      }
    }]
  }
}
